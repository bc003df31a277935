"""The folder of a run: its files, and names that are never taken twice."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.files import make_folder, write_atomically
from eisbach.run import lines
from eisbach.run.held import Held, LostError
from eisbach.run.lock import RunLock
from eisbach.run.parent import Parent, read_parent
from eisbach.run.place import CHECKPOINTS, nearest, split_step, steps_in

if TYPE_CHECKING:
    from eisbach.config import Config

# Of the 255 of most file systems; `-2`, `-profile` and the like may follow.
_MOST_NAME_BYTES = 240
_WHOLE = "..."  # YAML's end of a document


class RunFolder:
    """Paths inside the folder of a run.

    `config.yaml` resolved configuration, `parent.json` what the run was forked
    from, if it was, `tokenizer/` the run's own copy, `base/` what goes along
    with the model that it began with,
    `metrics.jsonl` a line a step, `validation.jsonl` a line a validation,
    `saves.jsonl` a line a checkpoint, `ledger.jsonl` a line a step that was
    skipped, `restarts.jsonl` a line a restart,
    `summary.json`, `loss.png`, `tensorboard/` events, `checkpoints/step-N/`,
    `model/` the export, or `adapter/`, `lock` who writes here.

    Attributes:
      path: The folder.
      step: Of the checkpoint that was named to resume from; None for the
        newest.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, step: int | None = None
    ):
        self.path = Path(path)
        self.step = step
        self._lock: RunLock | None = None
        self._held: Held | None = None

    @classmethod
    def create(cls, parent: str | os.PathLike[str], name: str) -> RunFolder:
        """Makes `parent/name`, or `name-2`, `name-3`, ... where it exists.

        Raises:
          ValueError: The folder cannot be made, or `name` leads out of
            `parent`.
        """
        check_name(name)
        count = 1
        home = Path(parent).expanduser()
        try:
            make_folder(home)
            while True:
                suffix = f"-{count}" if count > 1 else ""
                path = home / f"{name}{suffix}"
                try:
                    path.mkdir(mode=0o750)
                except FileExistsError:
                    count += 1
                    continue
                _sync(home)
                _sync(home.parent)
                return cls(path)
        except OSError as error:
            raise ValueError(
                f"cannot make a folder in {os.fspath(parent)}: "
                f"{error.strerror} (run.dir)"
            ) from None

    @classmethod
    def last(
        cls,
        parent: str | os.PathLike[str],
        name: str,
        *,
        fork: RunFolder | None = None,
    ) -> RunFolder | None:
        """Opens the last folder that `create` made of a name; None for none.

        Args:
          parent: Folder of run folders.
          name: Of the run.
          fork: Only of runs that were forked from this one, and from its
            `step` if it has one; None only of runs that were not forked.
        """
        made = re.compile(rf"{re.escape(name)}(?:-(\d+))?")
        found = [
            (int(match[1] or 1), path)
            for path in Path(parent).expanduser().glob("*/")
            if (match := made.fullmatch(path.name))
        ]
        for _, path in sorted(found, reverse=True):
            # `gpt-2` may be a name of its own.
            if _is_run(path) and _name_of(path) == name:
                origin = cls(path).parent
                same = (
                    origin is None
                    if fork is None
                    else (
                        origin is not None
                        and origin.is_of(fork.path, fork.step)
                    )
                )
                if same:
                    return cls.open(path)
        return None

    @classmethod
    def named(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Takes a path as `open` does, but looks at nothing."""
        run, step = split_step(path)
        return cls(run, step=step)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Opens the folder of an earlier run.

        Args:
          path: The folder, one of its `checkpoints/step-N`, or `RUN@step`.

        Raises:
          ValueError: It is none.
        """
        folder = cls.named(path)
        if not folder.config.is_file():
            raise ValueError(_no_run(folder.path))
        if not folder.config.stat().st_size:
            raise ValueError(
                f"{folder.config}: is empty; put the configuration of the run "
                "there"
            )
        if _last_line(folder.config) != _WHOLE:
            raise ValueError(
                f"{folder.config}: was cut short or replaced: its last line, "
                f"{_WHOLE!r}, is missing; {_fault_of(folder.config)}"
            )
        return folder

    def write_config(self, config: Config) -> None:
        """Writes `config.yaml`, whole or not at all."""
        origin = self.parent
        note = f"# Forked from {origin}\n" if origin else ""
        text = config.as_yaml()
        write_atomically(self.config, f"{note}{text}{_WHOLE}\n")

    def hold(self) -> None:
        """Keeps other processes from writing here; a second time is nothing.

        Raises:
          ValueError: Another process writes here; it is named.
        """
        if self._lock is None:
            self._lock = RunLock(self.path / "lock")
            self._held = Held(self.path)

    def release(self) -> None:
        """Lets others write here again."""
        if self._lock:
            self._lock.release()
        if self._held:
            self._held.release()
        self._lock = self._held = None

    def lost(self) -> str:
        """Says what became of the folder that is held; empty if it is here."""
        return self._held.fault() if self._held else ""

    def check(self) -> None:
        """Is called before each write of a run that goes on.

        Raises:
          LostError: The folder was moved or deleted since `hold`: what is
            written under its name would be elsewhere, or make half of a folder.
        """
        if fault := self.lost():
            raise LostError(
                f"{self.path}: the run folder {fault} while the run wrote "
                f"there; {self._what_is_left()}"
            )

    def _what_is_left(self) -> str:
        place = self._held and self._held.now()
        if not place:
            return "nothing that it held is left"
        if saved := RunFolder(place).saved():
            return (
                f"its newest checkpoint is of step {max(saved)}; to go on: "
                f"--resume {place}"
            )
        return "its metrics are there, and no checkpoint"

    @property
    def config(self) -> Path:
        """The resolved configuration, which is a configuration itself."""
        return self.path / "config.yaml"

    @property
    def parent_file(self) -> Path:
        """What the run was forked from."""
        return self.path / "parent.json"

    @property
    def parent(self) -> Parent | None:
        """The same, read; None for a run that began with initial weights.

        Raises:
          ValueError: The file is damaged.
        """
        return read_parent(self.parent_file)

    @property
    def tokenizer(self) -> Path:
        """A folder with the tokenizer as it was when the run started."""
        return self.path / "tokenizer"

    @property
    def base(self) -> Path:
        """Files of the model that the run began with, which an export has too.

        Its template of conversations is among them.
        """
        return self.path / "base"

    @property
    def metrics(self) -> Path:
        """A JSON object a step."""
        return self.path / "metrics.jsonl"

    @property
    def validation(self) -> Path:
        """A JSON object a validation."""
        return self.path / "validation.jsonl"

    @property
    def saves(self) -> Path:
        """How each checkpoint was written, a line each."""
        return self.path / "saves.jsonl"

    @property
    def ledger(self) -> Path:
        """Steps that were skipped or done twice, a line each."""
        return self.path / "ledger.jsonl"

    @property
    def hangs(self) -> Path:
        """What all ranks did when the job hung; only where it has."""
        return self.path / "hang.jsonl"

    @property
    def summary(self) -> Path:
        """One JSON object about the whole run."""
        return self.path / "summary.json"

    @property
    def restarts(self) -> Path:
        """A JSON object a restart after a fault."""
        return self.path / "restarts.jsonl"

    @property
    def plot(self) -> Path:
        """The loss curve."""
        return self.path / "loss.png"

    @property
    def events(self) -> Path:
        """TensorBoard events."""
        return self.path / "tensorboard"

    @property
    def model(self) -> Path:
        """The exported model, in Hugging Face's format."""
        return self.path / "model"

    @property
    def adapter(self) -> Path:
        """The adapters that it has trained, in PEFT's format."""
        return self.path / "adapter"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints to resume from, a folder each."""
        return self.path / CHECKPOINTS

    def saved(self) -> dict[int, Path]:
        """Returns the complete checkpoints by step, the oldest first."""
        return steps_in(self.checkpoints)

    def last_checkpoint(self) -> tuple[int, Path]:
        """Returns the newest checkpoint, or the one that was named.

        Raises:
          ValueError: There is none.
        """
        found = self.saved()
        if not found:
            raise ValueError(f"{self.path}: {self.why_no_checkpoint()}")
        step = max(found) if self.step is None else self.step
        if step not in found:
            raise ValueError(
                f"{self.path}: no checkpoint of step {step}"
                f"{nearest(step, found)}"
            )
        return step, found[step]

    def validation_losses(self) -> dict[int, float]:
        """Returns the losses that were measured, by the steps before them."""
        return {
            line["step"]: line["loss"]
            for line in read_lines(self.validation)
            if isinstance(line.get("loss"), float)
        }

    def why_no_checkpoint(self) -> str:
        """Says why a run has none."""
        from eisbach.run.state import standing

        when = "(checkpoint.every_minutes, checkpoint.every_steps)"
        state = standing(self)
        if state == "running":
            return (
                "no checkpoint yet: the run goes on; it writes one at its end, "
                f"when it is told to stop, and from time to time {when}"
            )
        if state in ("finished", "stopped"):
            return "no checkpoint: those that the run wrote were removed"
        return (
            "no checkpoint to resume from: the run was ended before its first "
            f"one {when}"
        )


def check_name(name: str) -> None:
    """Raises ValueError where a run's name is no name inside a folder."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        inside = re.sub(r"[/\0]+", "-", name).strip("-.") or "run"
        raise ValueError(
            f"{name!r} is no name of a run: it must be one inside run.dir, "
            f"without `/`; nearest that works: {inside} (run.name)"
        )
    data = name.encode(errors="surrogateescape")
    if len(data) > _MOST_NAME_BYTES:
        short = data[:_MOST_NAME_BYTES].decode(errors="ignore")
        raise ValueError(
            f"a name of {len(data)} bytes is too long for a folder; at most "
            f"{_MOST_NAME_BYTES}; nearest that works: {short} (run.name)"
        )


def check_home(parent: str | os.PathLike[str]) -> None:
    """Checks that run folders can be made in a folder; makes nothing.

    Raises:
      ValueError: Something else is in the way, or may not be written.
    """
    home = Path(os.path.abspath(Path(parent).expanduser()))
    there = next(path for path in (home, *home.parents) if path.exists())
    if not there.is_dir():
        reason = f"{there} is no folder"
    elif not os.access(there, os.W_OK | os.X_OK):
        reason = f"{there} cannot be written"
    else:
        return
    raise ValueError(
        f"cannot make a folder in {os.fspath(parent)}: {reason} (run.dir)"
    )


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Reads a `.jsonl` file; lines that are damaged are left out."""
    return [line.record for line in lines.read_all(path) if line.record]


def _no_run(path: Path) -> str:
    """Says what is wrong with a path that is no run folder, and which is."""
    if not path.exists():
        return f"{path}: no run folder: there is nothing of that name"
    parents = (*path.parents, *path.absolute().parents)
    around = [above for above in parents if _is_run(above)][:1]
    inside = [below for below in path.glob("*/") if _is_run(below)]
    newest = sorted(inside, key=lambda at: at.stat().st_mtime)[-1:]
    nearest = "".join(
        f"; nearest that works: {run}" for run in around or newest
    )
    return f"{path}: no run folder: it has no config.yaml{nearest}"


def has_config(path: Path) -> bool:
    """Whether a folder is that of a run, be it damaged."""
    return RunFolder(path).config.exists()


def _is_run(path: Path) -> bool:
    config = RunFolder(path).config
    return config.is_file() and _last_line(config) == _WHOLE


def _name_of(path: Path) -> str:
    from eisbach.config import load_config

    return load_config(RunFolder(path).config).run.name


def _fault_of(path: Path) -> str:
    from eisbach.config import load_config

    try:
        load_config(path)
    except ValueError as error:
        return str(error)
    return "what is lost would be other values than those of the run"


def _last_line(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16))
        return file.read().decode(errors="replace").rstrip().split("\n")[-1]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some file systems cannot sync a folder.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
