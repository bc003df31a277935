"""What differs between two checkpoints, of whatever layouts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.checkpoint.manifest import Manifest, read_manifest
from eisbach.meter import Meter

if TYPE_CHECKING:
    from eisbach import _C


@dataclass(frozen=True)
class TensorChange:
    """A tensor that is not the same in both.

    Attributes:
      key: Its name, `optimizer.m/NAME` for the optimizer's state.
      what: `values`, `shape`, `only in A`, `only in B`.
      shapes: In either; None where it is not.
      elements: Whose bits differ.
      absolute: The largest difference; infinite where a value that is not
        finite differs. This and the next are 0 where no values differ.
      relative: The largest one in proportion to the larger magnitude.
    """

    key: str
    what: str
    shapes: tuple[tuple[int, ...] | None, tuple[int, ...] | None]
    elements: int = 0
    absolute: float = 0.0
    relative: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Returns what `--json` prints; infinity is null, as JSON has none."""
        finite = math.isfinite(self.absolute)
        return {
            "tensor": self.key,
            "differs": self.what,
            "shapes": [shape and list(shape) for shape in self.shapes],
            "elements": self.elements,
            "max_absolute": self.absolute if finite else None,
            "max_relative": self.relative if finite else None,
        }


@dataclass(frozen=True)
class Comparison:
    """Two checkpoints beside one another.

    Attributes:
      paths: Of both.
      manifests: Of both.
      equal: Tensors that are bitwise the same.
      changes: The others.
      keys: Members of the manifests that differ, with both values as JSON;
        None where there is none.
    """

    paths: tuple[Path, Path]
    manifests: tuple[Manifest, Manifest]
    equal: int
    changes: list[TensorChange] = field(default_factory=list)
    keys: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Returns what `--json` prints."""
        return {
            "a": str(self.paths[0]),
            "b": str(self.paths[1]),
            "equal": not self.changes,
            "equal_tensors": self.equal,
            "tensors": [change.as_json() for change in self.changes],
            "keys": [{"key": key, "a": a, "b": b} for key, a, b in self.keys],
        }


# Of a layout and of the moment, not of what a run is.
_NOT_COMPARED = ("files", "xxh64", "parent")


def compare(a: Path, b: Path) -> Comparison:
    """Compares logical tensors where they lie, one after another.

    Args:
      a: A checkpoint.
      b: Another one.

    Raises:
      ValueError: One is damaged; it names file or tensor.
    """
    from eisbach import _C

    manifests = read_manifest(a), read_manifest(b)
    ours = {one.key: one for one in _C.saved_tensors(a)}
    theirs = {one.key: one for one in _C.saved_tensors(b)}
    equal, changes, done = 0, [], 0
    with Meter(sum(map(_bytes_of, ours.values()))) as meter:
        for key in dict.fromkeys([*ours, *theirs]):
            change = _change(key, ours.get(key), theirs.get(key))
            if change:
                changes.append(change)
            else:
                equal += 1
            done += _bytes_of(ours[key]) if key in ours else 0
            meter.show(done)
    keys = _C.config_changes(
        *(
            {k: v for k, v in one.members.items() if k not in _NOT_COMPARED}
            for one in manifests
        )
    )
    return Comparison((a, b), manifests, equal, changes, keys)


def _bytes_of(tensor: _C.SavedTensor) -> int:
    return 4 * math.prod(tensor.shape)


def _change(
    key: str, a: _C.SavedTensor | None, b: _C.SavedTensor | None
) -> TensorChange | None:
    from eisbach import _C

    shapes = a and a.shape, b and b.shape
    if a is None or b is None:
        return TensorChange(key, f"only in {'A' if a else 'B'}", shapes)
    if a.shape != b.shape:
        return TensorChange(key, "shape", shapes)
    found = _C.tensor_difference(a, b)
    if not found.elements:
        return None
    return TensorChange(
        key, "values", shapes, found.elements, found.absolute, found.relative
    )


def told(comparison: Comparison) -> Iterator[str]:
    """Spells a comparison in lines."""
    for name, path in zip("AB", comparison.paths, strict=True):
        yield f"{name}: {path}"
    for key, a, b in comparison.keys:
        yield f"{key}: {_spell(a)} in A, {_spell(b)} in B"
    width = max((len(one.key) for one in comparison.changes), default=0)
    for one in comparison.changes:
        yield f"{one.key:<{width}}  {_what(one)}"
    changed = len(comparison.changes)
    count = comparison.equal + changed
    if changed:
        yield f"{changed} of {count} tensors differ"
    else:
        yield f"all {count} tensors are equal bit for bit"


def _spell(value: str | None) -> str:
    return "absent" if value is None else value


def _what(one: TensorChange) -> str:
    a, b = one.shapes
    if one.what == "shape":
        return f"shape {_shape(a)} in A, {_shape(b)} in B"
    if one.what != "values":
        return f"{one.what}, {_shape(a or b)}"
    return (
        f"{one.elements:,} of {math.prod(a or ()):,} elements; largest "
        f"difference {one.absolute:.3g}, relative {one.relative:.3g}"
    )


def _shape(shape: tuple[int, ...] | None) -> str:
    return " x ".join(map(str, shape or ()))
