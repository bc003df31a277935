"""The tensors of a folder of others, of which every one must be used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.files import read_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FILE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_SHOWN = 4
_FLOATS = ("F32", "BF16", "F16", "F64")


class Tensors:
    """Hands out tensors by name and knows which nobody has asked for."""

    def __init__(self, folder: Path, name: str = _FILE):
        """Opens `model.safetensors`, or the parts that its index lists.

        Args:
          folder: Of the files.
          name: Of the one file, where it is another.

        Raises:
          ValueError: A file is damaged.
          OSError: A file is missing.
        """
        from eisbach import _C

        self.path = folder / name
        self._described = (
            "the model of config.json"
            if name == _FILE
            else "what adapter_config.json describes"
        )
        files = [name]
        divided = name == _FILE and (folder / _INDEX).is_file()
        if divided and not self.path.is_file():
            self.path = folder / _INDEX
            files = _parts(self.path)
        self._files = {
            folder / name: _C.read_safetensors(folder / name) for name in files
        }
        # The file of each, and its type there.
        self._paths: dict[str, Path] = {}
        self._types: dict[str, str] = {}
        for path, file in self._files.items():
            self._types.update(file.types)
            self._paths.update(dict.fromkeys(file, path))
        self._used: set[str] = set()

    @property
    def files(self) -> list[Path]:
        """Paths of the files."""
        return list(self._files)

    @property
    def types(self) -> dict[str, str]:
        """What the files call the type of each tensor."""
        return dict(self._types)

    def __contains__(self, name: str) -> bool:
        return name in self._paths

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Returns a tensor.

        Raises:
          ValueError: The files have none of this name, or it is of a type
            of which there are no arrays.
        """
        file = self._files[self._find(name)]
        kind = self._types[name]
        if kind not in _FLOATS:
            raise ValueError(
                f"{self.path}: tensor {name} is of type {kind}; weights are "
                f"of {', '.join(_FLOATS)}"
            )
        return file[name]

    def _find(self, name: str) -> Path:
        self._used.add(name)
        if name not in self._paths:
            raise ValueError(
                f"{self.path}: has no tensor {name}, which {self._described} "
                "has"
            )
        return self._paths[name]

    def file_of(self, name: str) -> Path:
        """Returns the file that has a tensor.

        Raises:
          ValueError: The files have none of this name.
        """
        return self._find(name)

    def check_finite(self) -> None:
        """Reads all of the files.

        Raises:
          ValueError: A weight is not finite.
        """
        for file in self._files.values():
            file.check_finite()

    def finish(self, without_effect: re.Pattern[str]) -> None:
        """Refuses what nobody has asked for.

        Args:
          without_effect: Names of tensors that follow from the configuration.

        Raises:
          ValueError: It names some of them.
        """
        left = [
            name
            for name in self._paths
            if name not in self._used and not without_effect.fullmatch(name)
        ]
        if left:
            more = f" and {len(left) - _SHOWN} more" * (len(left) > _SHOWN)
            raise ValueError(
                f"{self.path}: {', '.join(left[:_SHOWN])}{more}: "
                f"{self._described} has no such tensor, so it would be left out"
            )


def _parts(index: Path) -> list[str]:
    """Returns the files that an index names."""
    listed = read_json(index)
    listed = listed.get("weight_map") if isinstance(listed, dict) else None
    if not isinstance(listed, dict):
        raise ValueError(f"{index}: has no weight_map, an object")
    if not listed:
        raise ValueError(f"{index}: its weight_map names no file")
    for tensor, name in listed.items():
        plain = isinstance(name, str) and Path(name).name == name
        if not plain or name in ("", "..") or "\0" in name:
            raise ValueError(
                f"{index}: {tensor}: {name!r} is no file of this folder"
            )
    return sorted(set(listed.values()))
