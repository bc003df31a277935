"""The checkpoints of a run: which to take, which to put aside or delete."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from eisbach.run.folder import RunFolder, write_atomically

STEP = re.compile(r"step-(\d+)")


def find(folder: RunFolder) -> dict[int, Path]:
    """Returns the complete checkpoints by step, the oldest first."""
    found = {}
    for path in folder.checkpoints.glob("step-*"):
        match = STEP.fullmatch(path.name)
        if match and path.is_dir():
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def to_resume(folder: RunFolder) -> tuple[int, Path]:
    """Returns the newest checkpoint, or the one that was named.

    Raises:
      ValueError: There is none.
    """
    found = find(folder)
    if not found:
        raise ValueError(
            f"{folder.path}: no checkpoint to go on with: the run was ended "
            "before its first one (train.save_minutes, train.save_every)"
        )
    step = max(found) if folder.step is None else folder.step
    if step not in found:
        there = ", ".join(map(str, found))
        raise ValueError(
            f"{folder.path}: no checkpoint of step {step}; there are {there}"
        )
    return step, found[step]


def set_aside(folder: RunFolder, step: int) -> Path | None:
    """Puts what came after a step into a run folder of its own.

    That has the newer checkpoints, the result, and copies of metrics and
    configuration, so that it can be resumed as well.

    Returns:
      The folder, inside the run's; None where nothing is newer.
    """
    newer = [path for at, path in find(folder).items() if at > step]
    if not newer:
        return None
    aside = RunFolder.create(folder.path, "aside")
    for path in (
        folder.config,
        folder.metrics,
        folder.validation,
        *folder.tokenizer.glob("*"),
    ):
        if path.is_file():
            copy = aside.path / path.relative_to(folder.path)
            copy.parent.mkdir(mode=0o750, exist_ok=True)
            write_atomically(copy, path.read_bytes())
    aside.checkpoints.mkdir(mode=0o750)
    for path in newer:
        path.rename(aside.checkpoints / path.name)
    for path in (folder.summary, folder.plot, folder.model):
        if path.exists():
            path.rename(aside.path / path.name)
    return aside.path


def prune(folder: RunFolder, *, keep: int, every: int, spare: int) -> None:
    """Deletes old checkpoints, and what an interrupted save or prune left.

    Args:
      folder: Of a run that saves nothing at the moment.
      keep: So many of the newest stay; 0 keeps all.
      every: Those of steps that are a multiple of this stay; 0 for none.
      spare: The step that the run was resumed from; its checkpoint stays.
    """
    found = find(folder)
    for step in list(found)[:-keep] if keep else ():
        if step != spare and not (every and step % every == 0):
            # Under another name first: half of a checkpoint must not look
            # like one.
            path = found[step]
            os.rename(path, path.with_name(f"{path.name}.deleted"))
    for suffix in ("deleted", "unfinished"):
        for path in folder.checkpoints.glob(f"step-*.{suffix}"):
            shutil.rmtree(path)
