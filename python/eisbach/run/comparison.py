"""Runs beside one another: how far, how good, how quick, and what differs."""

from __future__ import annotations

import os
import statistics
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eisbach.config.errors import ConfigError
from eisbach.config.rules import show
from eisbach.config.tree import read_value
from eisbach.files import read_regular
from eisbach.run.folder import RunFolder, has_config
from eisbach.run.restarts import restart_times
from eisbach.run.state import standing
from eisbach.run.tail import last_lines

# Where a run writes, which says nothing of what it does.
_PLACES = ("run.name", "run.dir")
_WIDTH = 80


@dataclass(frozen=True)
class RunState:
    """What a run folder says of its run.

    Attributes:
      name: Of the folder; `run/aside` of what was put aside in a run's.
      folder: Where it is.
      state: `done`, `running`, `stopped`, `failed` by an error, `crashed`
        where the run could not say how it ended, or `damaged`.
      restarts: How often it was started again after a fault.
      step: Steps done.
      steps: That it is to do; None where the folder does not tell.
      loss: Of the last step; this and what follows is None where it is not
        known.
      validation: Loss of the last validation.
      bits_per_byte: Of the last validation.
      tokens_per_second: Median of the last steps.
      keys: The configuration, by dotted key.
      fault: What is wrong with a damaged one.
    """

    name: str
    folder: RunFolder
    state: str
    restarts: int = 0
    step: int = 0
    steps: int | None = None
    loss: float | None = None
    validation: float | None = None
    bits_per_byte: float | None = None
    tokens_per_second: float | None = None
    keys: dict[str, Any] = field(default_factory=dict)
    fault: str = ""


def find_runs(parent: Path) -> list[Path]:
    """Returns the run folders in a folder, the oldest first.

    Raises:
      ValueError: There is no such folder.
    """
    if not parent.is_dir():
        raise ValueError(f"{parent}: there is no such folder of runs")
    found = [path.parent for path in parent.glob("*/config.yaml")]
    return sorted(found, key=lambda path: (os.stat(path).st_ctime, path.name))


def read_run(path: Path) -> RunState:
    """Reads what the files of a run say, also while it runs."""
    folder = RunFolder(path)
    name = _name(path.absolute())
    try:
        keys = _read_keys(folder.config)
        if origin := folder.parent:
            keys["parent"] = str(origin)
        steps = last_lines(folder.metrics)
        validations = last_lines(folder.validation)
    except (ValueError, OSError) as error:
        return RunState(name, folder, "damaged", fault=str(error))
    last: dict[str, Any] = steps[-1] if steps else {}
    checked: dict[str, Any] = validations[-1] if validations else {}
    speeds = [s for line in steps if (s := line.get("tokens_per_second"))]
    target = keys.get("train.steps")
    step = last.get("step", 0)
    ended = folder.summary.exists() and isinstance(target, int)
    state = standing(folder)
    if not state:  # of a version that did not write it
        state = "finished" if ended and step >= target else "stopped"
    return RunState(
        name=name,
        folder=folder,
        state="done" if state == "finished" else state,
        restarts=restart_times(folder)["count"],
        step=step,
        steps=target if isinstance(target, int) else None,
        loss=last.get("loss"),
        validation=checked.get("loss"),
        bits_per_byte=checked.get("bits_per_byte"),
        tokens_per_second=statistics.median(speeds) if speeds else None,
        keys=keys,
    )


def _name(path: Path) -> str:
    inside = has_config(path.parent)
    return f"{path.parent.name}/{path.name}" if inside else path.name


def _read_keys(config: Path) -> dict[str, Any]:
    """Reads `config.yaml` as it stands, also one of another version."""
    values, _ = read_value(read_regular(config).decode(), str(config), ())
    if not isinstance(values, dict):
        raise ConfigError([])
    return {
        f"{section}.{name}": value
        for section, keys in values.items()
        if isinstance(keys, dict)
        for name, value in keys.items()
    }


def changed_keys(runs: Sequence[RunState]) -> list[str]:
    """Returns the keys in which runs differ, in the order of the sections."""
    names = dict.fromkeys(key for run in runs for key in run.keys)
    return [
        key
        for key in names
        if key not in _PLACES
        and len({show(run.keys.get(key)) for run in runs if run.keys}) > 1
    ]


def table(runs: Sequence[RunState]) -> Iterator[str]:
    """Spells runs as a table of at most 80 columns."""
    if not runs:
        yield "no runs"
        return
    width = min(26, max(len("run"), *(len(run.name) for run in runs)))
    yield (
        f"{'run':<{width}} {'state':<7} {'steps':>11} {'loss':>7} "
        f"{'valid.':>7} {'bits/B':>6} {'tokens/s':>9}"
    )
    changed = changed_keys(runs)
    for run in runs:
        name = run.name
        if len(name) > width:
            yield name
            name = ""
        steps = f"{run.step}/{run.steps}" if run.steps else f"{run.step}"
        yield (
            f"{name:<{width}} {run.state:<7} {steps:>11} "
            f"{_spell(run.loss, '.4f', 7)} {_spell(run.validation, '.4f', 7)} "
            f"{_spell(run.bits_per_byte, '.3f', 6)} "
            f"{_spell(run.tokens_per_second, ',.0f', 9)}"
        )
        told = run.fault or " ".join(_facts(run, changed))
        yield from textwrap.wrap(
            told,
            _WIDTH,
            initial_indent="  ",
            subsequent_indent="  ",
            break_long_words=False,  # paths
            break_on_hyphens=False,
        )


def _facts(run: RunState, changed: Sequence[str]) -> Iterator[str]:
    if run.restarts:
        yield f"restarts: {run.restarts}"
    for key in changed:
        if key in run.keys:
            yield f"{key}={show(run.keys[key])}"


def _spell(value: float | None, form: str, width: int) -> str:
    return f"{'-' if value is None else format(value, form):>{width}}"
