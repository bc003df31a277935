"""Going on with a run, or from it: which checkpoint, and what changes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.checkpoint.manifest import read_manifest
from eisbach.config import Config, load_config
from eisbach.config.tree import COMMAND_LINE
from eisbach.files import read_json
from eisbach.run.agreement import agreed
from eisbach.run.checkpoints import mark_damaged, set_aside
from eisbach.run.folder import RunFolder
from eisbach.run.output import warn
from eisbach.run.parent import Parent, real_path
from eisbach.run.restarts import begun_here

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.job import Job

# They are decided where a run starts.
_FIXED = ("run.dir", "run.name")


@dataclass(frozen=True)
class Resumption:
    """How a run goes on.

    Attributes:
      step: Steps done.
      checkpoint: Path of the checkpoint; empty where it starts over.
      finished: Whether nothing is left: all steps are done, and the result of
        the last one is in the folder.
      changed: Keys that have another value than in `config.yaml`.
      older: Paths of the checkpoints before it, the newest first.
      parent: What a new run is forked from; None for one that goes on itself.
    """

    step: int = 0
    checkpoint: str = ""
    finished: bool = False
    changed: list[str] = field(default_factory=list)
    older: list[str] = field(default_factory=list)
    parent: Parent | None = None

    def as_json(self) -> str:
        """Spells it for other ranks."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Resumption:
        """Reads what `as_json` spelled."""
        told = json.loads(text)
        parent = told.pop("parent")
        return cls(**told, parent=parent and Parent(**parent))


def choose(folder: RunFolder, config: Config) -> Resumption:
    """Decides how a run goes on; changes nothing.

    Args:
      folder: Of the run.
      config: With which it goes on.

    Raises:
      ValueError: There is no checkpoint, or it is past the last step, or a
        key has changed that cannot.
    """
    changed = _changes(folder, config)
    if begun_here(folder) and not folder.saved():
        return _start_over(folder, config, changed)
    step, checkpoint = folder.last_checkpoint()
    steps = config.train.steps
    if steps < step:
        raise ValueError(
            f"steps={steps} is below the {step} that are done in "
            f"{checkpoint}: nothing is left to train; nearest that works: "
            f"{step + 1}, or an older checkpoint by --resume "
            f"{folder.checkpoints}/step-N (train.steps)"
        )
    exported = (folder.model / "config.json").is_file() or (
        folder.adapter / "adapter_config.json"
    ).is_file()
    finished = exported and step == steps == _summarized(folder)
    return Resumption(
        step, str(checkpoint), finished, changed, _older(folder, step)
    )


def _start_over(
    folder: RunFolder, config: Config, changed: list[str]
) -> Resumption:
    """Starts again a run that saved nothing: with what it began with."""
    parent = folder.parent
    if parent is None:
        return Resumption(changed=changed)
    again = fork(RunFolder.open(str(parent)), config)
    if again.parent != parent:
        raise ValueError(
            f"{folder.path} was forked from {parent}, whose checkpoint is "
            "another one now; start a new run of it by --from"
        )
    return replace(again, changed=changed)


def fork(parent: RunFolder, config: Config) -> Resumption:
    """Decides how a new run begins where another one was; changes nothing.

    Args:
      parent: Folder of the other run.
      config: Of the new one.

    Raises:
      ValueError: There is no such checkpoint, or it is damaged or at or past
        the last step.
    """
    step, checkpoint = parent.last_checkpoint()
    steps = config.train.steps
    if steps <= step:
        raise ValueError(
            f"steps={steps} leaves nothing to train after the {step} that are "
            f"done in {checkpoint}; nearest that works: {step + 1}, or an "
            f"older checkpoint by --from {parent.path}@STEP (train.steps)"
        )
    manifest = read_manifest(checkpoint)
    return Resumption(
        step,
        str(checkpoint),
        older=_older(parent, step),
        parent=Parent(real_path(parent.path), step, manifest.hash),
    )


def _older(folder: RunFolder, step: int) -> list[str]:
    return [str(path) for at, path in folder.saved().items() if at < step][::-1]


def load_checkpoint(
    engine: _C.Engine,
    resumption: Resumption,
    identity: str,
    prefixes: Sequence[str],
    *,
    world: _C.World,
    forgives: bool = False,
) -> Resumption:
    """Loads the checkpoint with which a run goes on; collective.

    Args:
      engine: Gets its weights and its optimizer's state.
      resumption: The same on all ranks.
      identity: Of the run, as `Job.identity`.
      prefixes: Of the data that it names `data.train[0]` and so on.
      world: All ranks.
      forgives: Whether one that is damaged is put aside, and the run goes on
        with an older one. Where none of them loads it is no damage, but another
        run's.

    Returns:
      How the run goes on: as was said, or from an older checkpoint.

    Raises:
      ValueError: It is damaged or of another run. Where an older checkpoint can
        be loaded the message names that.
    """
    if not resumption.checkpoint:
        return resumption
    try:
        engine.load(resumption.checkpoint, config=identity)
    except (OSError, RuntimeError, ValueError) as error:
        told = [str(error)]
        told += [
            f"data.train[{i}] is {name}"
            for i, name in enumerate(prefixes)
            if f"data.train[{i}]" in str(error)
        ]
        older = _one_that_loads(engine, resumption.older, identity)
        if older and forgives:
            return _without_damaged(
                world, engine, resumption, older, "; ".join(told)
            )
        if older:
            option = "--from" if resumption.parent else "--resume"
            told.append(f"nearest that works: {option} {older}")
        raise ValueError("; ".join(told)) from error
    return resumption


def _without_damaged(
    world: _C.World,
    engine: _C.Engine,
    resumption: Resumption,
    older: str,
    fault: str,
) -> Resumption:
    """Puts aside what is newer than the checkpoint that was loaded."""
    at = resumption.older.index(older)
    with agreed(world):
        if world.rank == 0:
            damaged = (resumption.checkpoint, *resumption.older[:at])
            places = [str(mark_damaged(Path(path))) for path in damaged]
            warn(
                f"{fault}; it is damaged and now {' and '.join(places)}: the "
                f"run goes on with {older}, and what came after is done again"
            )
    return replace(
        resumption,
        step=engine.steps_done,
        checkpoint=older,
        finished=False,
        older=resumption.older[at + 1 :],
    )


def _one_that_loads(
    engine: _C.Engine, checkpoints: Sequence[str], identity: str
) -> str:
    for checkpoint in checkpoints:
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            engine.load(checkpoint, config=identity)
            return checkpoint
    return ""


def begin(folder: RunFolder, config: Config, resumption: Resumption) -> None:
    """Makes the folder that of the run that goes on; rank 0 alone.

    What is newer than the checkpoint is put aside, and `config.yaml` gets the
    keys that changed.
    """
    if aside := set_aside(folder, resumption.step):
        warn(
            f"what came after step {resumption.step} is now in {aside}, which "
            "can be resumed as well"
        )
    if resumption.changed:
        _amend(folder, config, resumption)


def tell_nothing_left(job: Job) -> int:
    """Says that a run is finished; returns the exit status."""
    if job.world.rank == 0:
        print(
            f"{job.folder.path} is finished: its {job.first} steps are done "
            "and model/ is written; to go on, give more, such as "
            f"train.steps={2 * job.first}",
            flush=True,
        )
    return 0


def _summarized(folder: RunFolder) -> int | None:
    """Returns the step of the result; the summary is written after all else."""
    try:
        return read_json(folder.summary)["steps"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _changes(folder: RunFolder, config: Config) -> list[str]:
    old = load_config(folder.config).model_dump()
    found = []
    for section, keys in config.model_dump().items():
        for name, value in keys.items():
            key = f"{section}.{name}"
            origin = config.origin(key)
            made = origin.startswith("derived") and old[section][name] == "auto"
            if made or value == old[section][name]:
                continue
            if key not in _FIXED:
                found.append(key)
            elif origin == COMMAND_LINE:
                raise ValueError(
                    f"{value} cannot replace {old[section][name]} on resume: "
                    f"leave it out ({key})"
                )
    return found


def _amend(folder: RunFolder, new: Config, resumption: Resumption) -> None:
    text = folder.config.read_text(encoding="utf-8").split("\n")
    config = load_config(folder.config)
    origins = {}
    for section, keys in config.model_dump().items():
        for name in keys:
            key = f"{section}.{name}"
            line = config.origin(key).rpartition(":")[2]
            if line.isdigit():  # its comment says where the value is from
                comment = text[int(line) - 1].partition("  # ")[2].strip()
                origins[key] = comment or config.origin(key)
    for key in resumption.changed:
        section, name = key.split(".")
        value = getattr(getattr(new, section), name)
        origins[key] = f"--resume at step {resumption.step}"
        config = config.derive(key, value, origins[key])
    folder.write_config(config.with_origins(origins))
