"""The checkpoints of a run: which to put aside, and which to delete."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from eisbach.files import make_folder, write_atomically
from eisbach.run.folder import RunFolder


def set_aside(folder: RunFolder, step: int) -> Path | None:
    """Puts what came after a step into a run folder of its own.

    That has the newer checkpoints, the result, and copies of metrics and
    configuration, so that it can be resumed as well.

    Returns:
      The folder, inside the run's; None where nothing is newer.
    """
    newer = [path for at, path in folder.saved().items() if at > step]
    if not newer:
        return None
    aside = RunFolder.create(folder.path, "aside")
    for path in (
        folder.parent_file,
        folder.config,
        folder.metrics,
        folder.validation,
        folder.saves,
        folder.ledger,
        *folder.tokenizer.glob("*"),
    ):
        if path.is_file():
            copy = aside.path / path.relative_to(folder.path)
            make_folder(copy.parent)
            write_atomically(copy, path.read_bytes())
    make_folder(aside.checkpoints)
    for path in newer:
        path.rename(aside.checkpoints / path.name)
    for path in (
        folder.summary, folder.plot, folder.model, folder.adapter,
    ):  # fmt: skip
        if path.exists():
            path.rename(aside.path / path.name)
    return aside.path


def mark_damaged(checkpoint: Path) -> Path:
    """Gives a checkpoint a name under which nothing goes on with it.

    It is kept: `step-N.damaged`, or `step-N.damaged-2` and so on.
    """
    count = 1
    while True:
        suffix = f"-{count}" if count > 1 else ""
        place = checkpoint.with_name(f"{checkpoint.name}.damaged{suffix}")
        if not os.path.lexists(place):
            return checkpoint.rename(place)
        count += 1


def prune(
    folder: RunFolder, *, keep: int, every: int, best: int, spare: int
) -> None:
    """Deletes old checkpoints, and what an interrupted save or prune left.

    Args:
      folder: Of a run that saves nothing at the moment.
      keep: So many of the newest stay; 0 keeps all.
      every: Those of steps that are a multiple of this stay; 0 for none.
      best: So many with the lowest validation loss stay.
      spare: The step that the run was resumed from; its checkpoint stays.
    """
    found = folder.saved()
    losses = folder.validation_losses() if best else {}
    validated = [step for step in found if step in losses]
    spared = {spare, *sorted(validated, key=losses.__getitem__)[:best]}
    for step in list(found)[:-keep] if keep else ():
        if step not in spared and not (every and step % every == 0):
            # Under another name first: half of a checkpoint must not look
            # like one.
            path = found[step]
            os.rename(path, path.with_name(f"{path.name}.deleted"))
    for suffix in ("deleted", "unfinished"):
        for path in folder.checkpoints.glob(f"step-*.{suffix}"):
            shutil.rmtree(path)
