"""A checkpoint's manifest and tensors, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.checkpoint.manifest import Manifest, read_manifest
from eisbach.checkpoint.spelling import spell_bytes

if TYPE_CHECKING:
    from eisbach import _C

# Told in a way of their own, or the same in every checkpoint.
_APART = ("files", "format", "version", "xxh64")


def described(path: Path, *, tensors: bool) -> dict[str, Any]:
    """Returns what `--json` prints: the manifest, and where it is.

    Args:
      path: Of the checkpoint.
      tensors: Whether to list the logical tensors, which opens every file.
    """
    manifest = read_manifest(path)
    told = {"path": str(path), **manifest.members}
    if tensors:
        told["tensors"] = [_as_json(one) for one in _read(path)]
    return told


def _read(path: Path) -> list[_C.SavedTensor]:
    from eisbach import _C

    return _C.saved_tensors(path)


def _as_json(tensor: _C.SavedTensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "part": tensor.part,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "boxes": tensor.boxes,
        "fault": tensor.fault,
    }


def shown(path: Path, *, tensors: bool) -> Iterator[str]:
    """Yields the same as lines."""
    manifest = read_manifest(path)
    total = sum(manifest.sizes().values())
    files = len(manifest.files)
    yield str(path)
    yield (
        f"step {manifest.step}, {spell_bytes(total)} in {files} "
        f"file{'s'[: files != 1]}, manifest xxh64 {manifest.hash}"
    )
    yield from _members(manifest)
    yield "files:"
    for file in manifest.files:
        rest = ", ".join(
            f"{key} {value}"
            for key, value in file.items()
            if key not in ("name", "bytes", "xxh64")
        )
        yield (
            f"  {file['name']}: {file['bytes']:,} bytes, xxh64 "
            f"{file['xxh64']}, {rest}"
        )
    if tensors:
        yield from _tensors(_read(path))


def _members(manifest: Manifest) -> Iterator[str]:
    for key, value in manifest.members.items():
        if key in _APART or key == "step":
            continue
        if not isinstance(value, dict):
            yield f"{key}: {_spell(value)}"
            continue
        yield f"{key}:"
        for name, inner in _flat(value):
            yield f"  {name}: {_spell(inner)}"


def _flat(value: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _flat(inner, f"{before}{key}.")
        else:
            yield f"{before}{key}", inner


def _spell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _tensors(tensors: list[_C.SavedTensor]) -> Iterator[str]:
    yield f"tensors: {len(tensors)}"
    width = max((len(one.key) for one in tensors), default=0)
    for one in tensors:
        boxes = len(one.boxes)
        shape = " x ".join(map(str, one.shape))
        line = f"  {one.key:<{width}}  {one.dtype} {shape}"
        if boxes > 1:
            line += f", {boxes} boxes"
        yield line + (f"  {one.fault}" if one.fault else "")
