"""A run of `eisbach train`: what it took, and what was predicted of it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from children import peak_of
from train_cpu import Shape, eisbach_command

if TYPE_CHECKING:
    from eisbach import _C


@dataclasses.dataclass(frozen=True)
class Run:
    """What one run took."""

    seconds: float  # median of a step
    resident: int  # bytes of the largest process
    allocated: int = 0  # most bytes of a rank's tensors; ours alone


def command_of(
    shape: Shape, keys: list[str], folder: Path, args: argparse.Namespace
) -> list[str]:
    """How to start a run with these keys, on ranks of one thread."""
    command = eisbach_command(
        shape, steps=args.steps, dtype=args.dtype, ranks=args.ranks,
        folder=folder,
    )  # fmt: skip
    return [*command, *keys, "run.threads=1"]


def figures_of(folder: Path, warm_up: int = 3) -> tuple[float, int]:
    """The median step of a run folder, and the most bytes of a rank's tensors.

    Args:
      folder: Of the run.
      warm_up: Steps at its begin that are not counted.
    """
    text = (folder / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    return (
        statistics.median(line["step_seconds"] for line in lines[warm_up:]),
        max(line["peak_memory_bytes"] for line in lines),
    )


def measure(shape: Shape, keys: list[str], args: argparse.Namespace) -> Run:
    """Runs it."""
    with tempfile.TemporaryDirectory() as folder:
        command = command_of(shape, keys, Path(folder), args)
        _, resident = peak_of(command)
        seconds, allocated = figures_of(Path(folder) / "bench")
    return Run(seconds, resident, allocated)


def by_round(runs: list[Run], others: list[Run]) -> float:
    """A step of some runs by that of others, each in its own round."""
    pairs = zip(runs, others, strict=True)
    return statistics.median(run.seconds / o.seconds for run, o in pairs)


def predicted(
    shape: Shape, keys: list[str], args: argparse.Namespace
) -> _C.RankMemory:
    """What its rank 0 is estimated to take at the most."""
    from eisbach.config import load_config, resolve
    from eisbach.estimating import estimate
    from eisbach.fitting import fit

    command = command_of(shape, keys, Path("runs"), args)
    at = command.index("train") + 1
    config = load_config(Path(command[at]), command[at + 1 :])
    return estimate(fit(resolve(config), args.ranks))[0].memory
