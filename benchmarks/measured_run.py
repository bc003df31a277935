"""A run of `eisbach train`: what it took, and what was predicted of it."""

from __future__ import annotations

import dataclasses
import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from children import peak_of

if TYPE_CHECKING:
    from eisbach import _C


@dataclasses.dataclass(frozen=True)
class Run:
    """What one run took."""

    seconds: float  # median of a step
    resident: int  # bytes of the largest process
    allocated: int = 0  # most bytes of a rank's tensors; ours alone


def measure(command: list[str], folder: Path) -> Run:
    """Runs a command whose run folder is `folder`/bench."""
    _, resident = peak_of(command)
    text = (folder / "bench" / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    return Run(
        statistics.median(line["step_seconds"] for line in lines[3:]),
        resident,
        max(line["peak_memory_bytes"] for line in lines),
    )


def predicted(command: list[str], ranks: int) -> _C.RankMemory:
    """What rank 0 of a command is estimated to take at the most."""
    from eisbach.config import load_config, resolve
    from eisbach.estimating import estimate
    from eisbach.fitting import fit

    at = command.index("train") + 1
    config = load_config(Path(command[at]), command[at + 1 :])
    return estimate(fit(resolve(config), ranks))[0].memory
