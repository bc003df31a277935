"""Reads checkpoints whole, with a bar on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.checkpoint.manifest import read_manifest
from eisbach.checkpoint.spelling import spell_bytes
from eisbach.meter import Meter

if TYPE_CHECKING:
    from eisbach import _C


@dataclass(frozen=True)
class Verified:
    """What was found in a checkpoint.

    Attributes:
      path: Of it.
      found: Its faults, and what was read.
    """

    path: Path
    found: _C.Verification

    def as_json(self) -> dict[str, Any]:
        """Returns what `--json` prints."""
        return {
            "path": str(self.path),
            "files": self.found.files,
            "tensors": self.found.tensors,
            "bytes": self.found.bytes,
            "faults": self.found.faults,
        }

    def lines(self) -> Iterator[str]:
        """Spells it: a line, or one for each fault."""
        if self.found.faults:
            yield f"{self.path}: DAMAGED"
            yield from (f"  {fault}" for fault in self.found.faults)
            return
        files = self.found.files
        yield (
            f"{self.path}: sound, {spell_bytes(self.found.bytes)} in {files} "
            f"file{'s'[: files != 1]}, {self.found.tensors} tensors"
        )


def verified(paths: Sequence[Path]) -> list[Verified]:
    """Verifies checkpoints, one after another.

    One that its run deletes meanwhile is left out.
    """
    from eisbach import _C

    total = sum(_bytes_of(path) for path in paths)
    results, before = [], 0
    with Meter(total) as meter:
        for path in paths:
            found = _C.verify_checkpoint(
                path, lambda done, _, start=before: meter.show(start + done)
            )
            before += found.bytes
            if path.exists():
                results.append(Verified(path, found))
    return results


def _bytes_of(path: Path) -> int:
    try:
        return sum(read_manifest(path).sizes().values())
    except (OSError, ValueError):  # which is a fault
        return 0
