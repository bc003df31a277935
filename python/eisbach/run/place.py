"""What a path names: a run, its checkpoints, or one of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# What `RUN/checkpoints` is called.
CHECKPOINTS = "checkpoints"
MANIFEST = "manifest.json"  # of every checkpoint
_STEP = re.compile(r"step-(\d+)")
_AT = re.compile(r"(?P<run>.+)@(?P<step>\d+)")


@dataclass(frozen=True)
class Place:
    """Where checkpoints are.

    Attributes:
      root: Folder that holds them.
      step: That was named; None for all of them, or the newest.
      path: As it was given.
    """

    root: Path
    step: int | None
    path: Path

    @property
    def run(self) -> Path | None:
        """The folder of the run that wrote them; None where it is not known."""
        if self.root.name != CHECKPOINTS:
            return None
        run = self.root.parent
        return run if (run / "config.yaml").is_file() else None

    def all(self) -> dict[int, Path]:
        """Returns the complete checkpoints that were named, the oldest first.

        Raises:
          ValueError: There is none.
        """
        if self.step is not None:
            step, path = self.one()
            return {step: path}
        if found := steps_in(self.root):
            return found
        raise ValueError(f"{self.path}: {self._why_none()}")

    def _why_none(self) -> str:
        from eisbach.run.folder import RunFolder

        if self.run:
            return RunFolder(self.run).why_no_checkpoint()
        return f"there is no complete checkpoint in {self.root}"

    def one(self) -> tuple[int, Path]:
        """Returns the checkpoint that was named, else the newest.

        Raises:
          ValueError: There is none.
        """
        found = self.all() if self.step is None else steps_in(self.root)
        step = max(found) if self.step is None else self.step
        if step not in found:
            raise ValueError(
                f"{self.path}: no checkpoint of step {step}"
                f"{nearest(step, found)}"
            )
        return step, found[step]


def steps_in(root: Path) -> dict[int, Path]:
    """Returns the folders of complete checkpoints by step, the oldest first."""
    found = {}
    for path in root.glob("step-*"):
        match = _STEP.fullmatch(path.name)
        if match and path.is_dir():
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def nearest(step: int, steps: Iterable[int]) -> str:
    """Spells which steps are nearest to one that is not there."""
    below = [at for at in steps if at < step]
    above = [at for at in steps if at > step]
    there = [
        *map(str, below and [max(below)]),
        *map(str, above and [min(above)]),
    ]
    if not there:
        return "; there is none at all"
    return f"; nearest that works: {' or '.join(there)}"


def split_step(
    path: str | os.PathLike[str],
) -> tuple[Path, int | None]:
    """Takes `RUN@step` and `RUN/checkpoints/step-N` apart.

    Returns:
      The path before, as it is where no step is named; and the step. For a
      checkpoint that is no run's the first is the folder that it lies in.
    """
    named = _AT.fullmatch(os.fspath(path))
    if named and not os.path.lexists(path):
        return Path(named["run"]), int(named["step"])
    path = Path(path)
    if step := _STEP.fullmatch(path.name):
        root = Path(os.path.abspath(path)).parent
        run = root.parent if root.name == CHECKPOINTS else root
        return run, int(step[1])
    return path, None


def locate(path: str | os.PathLike[str]) -> Place:
    """Finds the checkpoints that a path names; reads none of them.

    Args:
      path: A run folder, its `checkpoints`, or any folder of checkpoints; one
        step's folder, or a link to it; or `RUN@step`.

    Raises:
      ValueError: There is nothing of that name, or no checkpoint.
    """
    given = Path(path)
    if (given / MANIFEST).is_file():
        real = Path(os.path.realpath(given))
        if step := _STEP.fullmatch(real.name):
            return Place(real.parent, int(step[1]), given)
        raise ValueError(
            f"{given}: a checkpoint is called by its step, as in "
            f"step-00000200; give {real} that name again"
        )
    folder, step = split_step(path)
    if not folder.exists():
        raise ValueError(f"{folder}: there is nothing of that name")
    root = folder / CHECKPOINTS
    if not (root.is_dir() or (folder / "config.yaml").is_file()):
        root = folder
        if folder.name != CHECKPOINTS and not any(folder.glob("step-*")):
            raise ValueError(
                f"{given}: neither a run folder, nor a folder of checkpoints, "
                "nor one of them"
            )
    # `.` is called something, too.
    return Place(Path(os.path.abspath(root)), step, given)
