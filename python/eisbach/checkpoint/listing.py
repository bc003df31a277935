"""The checkpoints of a run as a table, also while it writes them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eisbach.checkpoint.spelling import spell_bytes, spell_layout
from eisbach.run.folder import RunFolder
from eisbach.run.place import MANIFEST, Place
from eisbach.run.state import standing


@dataclass(frozen=True)
class Listed:
    """One folder of a checkpoint, whole or not.

    Attributes:
      step: Steps done.
      path: The folder.
      state: `complete`; `being written` by a run that goes on; `unfinished`,
        which a save that was cut off left; `deleted` likewise; or `damaged`,
        also where a resume has put it aside for that.
      written: When, in UTC; of its newest file where it is not whole.
      bytes: Of its files.
      layout: Ranks along each axis when it was written; None if it is not
        whole. Of later versions there may be more axes.
      validation_loss: Measured after this step; None where it was not.
      fault: What is wrong with a damaged one.
    """

    step: int
    path: Path
    state: str
    written: datetime
    bytes: int
    layout: dict[str, int] | None = None
    validation_loss: float | None = None
    fault: str = ""

    def as_json(self) -> dict[str, Any]:
        """Returns what `--json` prints."""
        return {
            **asdict(self),
            "path": str(self.path),
            "written": self.written.isoformat(timespec="seconds"),
        }


def listed(place: Place) -> list[Listed]:
    """Looks at each checkpoint's manifest and at the sizes of its files.

    What a run that goes on renames or deletes meanwhile is left out.
    """
    losses: dict[int, float] = {}
    writes = False
    if place.run:
        run = RunFolder(place.run)
        writes = standing(run) == "running"
        losses = run.validation_losses()
    found = []
    for path in place.root.glob("step-*"):
        step, dot, rest = path.name.removeprefix("step-").partition(".")
        if not step.isdecimal() or not path.is_dir():
            continue
        if place.step not in (None, int(step)):
            continue
        # `damaged-2` is one more of that step.
        state = rest.partition("-")[0] if dot else "complete"
        if state == "unfinished" and writes:
            state = "being written"
        if one := _looked_at(path, int(step), state, losses.get(int(step))):
            found.append(one)
    return sorted(found, key=lambda one: (one.step, one.path.name))


def _looked_at(
    path: Path, step: int, state: str, loss: float | None
) -> Listed | None:
    sizes, newest = {}, 0.0
    try:
        for file in path.iterdir():
            # One that is being written is renamed at its end.
            with contextlib.suppress(FileNotFoundError):
                seen = file.stat()
                sizes[file.name] = seen.st_size
                newest = max(newest, seen.st_mtime)
        newest = newest or path.stat().st_mtime
        if state != "complete":
            fault = f"put aside as {path.name}" * (state == "damaged")
            return Listed(
                step,
                path,
                state,
                _when(newest),
                sum(sizes.values()),
                fault=fault,
            )
        return _whole(path, step, sizes, loss)
    except FileNotFoundError:
        if path.exists():
            raise
        return None


def _whole(
    path: Path, step: int, sizes: dict[str, int], loss: float | None
) -> Listed:
    from eisbach.checkpoint.manifest import read_manifest

    total = sum(sizes.values())
    told = path / MANIFEST
    written = _when(os.stat(told if MANIFEST in sizes else path).st_mtime)
    try:
        manifest = read_manifest(path)
    except (OSError, ValueError) as error:
        if not path.exists():
            raise FileNotFoundError(path) from None
        return Listed(
            step, path, "damaged", written, total, None, loss, str(error)
        )
    faults = [
        f"{path / name} is missing"
        if name not in sizes
        else f"{path / name} has {sizes[name]:,} of {size:,} bytes"
        for name, size in manifest.sizes().items()
        if sizes.get(name) != size
    ]
    return Listed(
        step,
        path,
        "damaged" if faults else "complete",
        written,
        total,
        manifest.layout,
        loss,
        "; ".join(faults),
    )


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def table(rows: Sequence[Listed]) -> Iterator[str]:
    """Spells checkpoints as a table of at most 80 columns, faults apart."""
    if not rows:
        yield "no checkpoints"
        return
    yield (
        f"{'step':>9}  {'written (UTC)':<19} {'size':>9}  {'layout':<14} "
        f"{'valid.':>7}  state"
    )
    for row in rows:
        loss = (
            "-"
            if row.validation_loss is None
            else (f"{row.validation_loss:.4f}")
        )
        yield (
            f"{row.step:>9}  {row.written:%Y-%m-%d %H:%M:%S} "
            f"{spell_bytes(row.bytes):>9}  {spell_layout(row.layout):<14} "
            f"{loss:>7}  {row.state}"
        )
        if row.fault:
            yield f"{'':>9}  {row.fault}"
