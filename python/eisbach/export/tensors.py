"""The tensors of a folder of others, of which every one must be used."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FILE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_SHOWN = 4


class Tensors:
    """Hands out tensors by name and knows which nobody has asked for."""

    def __init__(self, folder: Path):
        """Reads `model.safetensors`, or the parts that its index lists.

        Raises:
          ValueError: A file is damaged or holds a type of which there are
            no tensors.
          OSError: A file is missing.
        """
        from eisbach import _C

        self.path = folder / _FILE
        files = [_FILE]
        if not self.path.is_file() and (folder / _INDEX).is_file():
            self.path = folder / _INDEX
            files = _parts(self.path)
        self._values: dict[str, NDArray[Any]] = {}
        for name in files:
            self._values.update(_C.read_safetensors(str(folder / name)))
        self._used: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Returns a tensor.

        Raises:
          ValueError: The files have none of this name.
        """
        self._used.add(name)
        try:
            return self._values[name]
        except KeyError:
            raise ValueError(
                f"{self.path}: has no tensor {name}, which the model of "
                "config.json has"
            ) from None

    def rename(self, change: Callable[[str], str]) -> None:
        """Changes all names."""
        self._values = {change(k): v for k, v in self._values.items()}

    def finish(self, without_effect: re.Pattern[str]) -> None:
        """Refuses what nobody has asked for.

        Args:
          without_effect: Names of tensors that follow from the configuration.

        Raises:
          ValueError: It names some of them.
        """
        left = [
            name
            for name in self._values
            if name not in self._used and not without_effect.fullmatch(name)
        ]
        if left:
            more = f" and {len(left) - _SHOWN} more" * (len(left) > _SHOWN)
            raise ValueError(
                f"{self.path}: {', '.join(left[:_SHOWN])}{more}: the model of "
                "config.json has no such tensor, so it would be left out"
            )


def _parts(index: Path) -> list[str]:
    try:
        listed = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(listed.values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{index}: cannot read its weight_map: {error!r}"
        ) from None
    return list(_plain(index, names))


def _plain(index: Path, names: list[str]) -> Iterator[str]:
    for name in names:
        if Path(name).name != name:
            raise ValueError(f"{index}: {name!r} is no file of this folder")
        yield name
