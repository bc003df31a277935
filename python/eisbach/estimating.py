"""`eisbach estimate`: what a configuration takes, before it takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eisbach.fitting import Fit, count, shorten, spell_sizes

if TYPE_CHECKING:
    from eisbach import _C

_KINDS = {
    "weights": "weights",
    "masters": "masters",
    "gradients": "grads",
    "optimizer": "optim.",
    "activations": "activ.",
    "other": "other",
    "peak": "peak",
}
_UNITS = ("KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True)
class Estimate:
    """Ranks that take the same memory.

    Attributes:
      ranks: Which.
      stages: Pipeline stages that they are on.
      memory: Of each of them.
    """

    ranks: list[int]
    stages: list[int]
    memory: _C.RankMemory


def estimate(
    found: Fit, *, progress: Callable[[int, int], None] = lambda done, all: None
) -> list[Estimate]:
    """Estimates every rank that may differ from the others.

    Ranks that see other samples hold the same; those of other stages and
    tensor ranks are each run on the meta device.

    Args:
      found: The configuration on its ranks.
      progress: Is told before each run how many are done, and of how many.
    """
    from eisbach import _C

    mesh = found.mesh
    copies: dict[tuple[int, int], list[int]] = {}
    for rank in range(mesh.world_size):
        place = tuple(
            mesh.coordinate(rank, axis) for axis in ("pipeline", "tensor")
        )
        copies.setdefault(place, []).append(rank)
    rows: list[Estimate] = []
    for done, ((stage, _), ranks) in enumerate(sorted(copies.items())):
        progress(done, len(copies))
        memory = _C.estimate_memory(
            found.engine, mesh, ranks[0], device=found.config.run.device
        )
        for row in rows:
            if _figures(row.memory) == _figures(memory):
                row.ranks[:] = sorted([*row.ranks, *ranks])
                if stage not in row.stages:
                    row.stages.append(stage)
                break
        else:
            rows.append(Estimate(ranks, [stage], memory))
    return rows


def table(found: Fit, rows: list[Estimate]) -> Iterator[str]:
    """Spells an estimate, a line for ranks that are alike."""
    config, mesh, model = found.config, found.mesh, found.engine.model
    most = max(row.memory.peak for row in rows)
    unit = 0
    while most >= 1024 ** (unit + 2) and unit + 1 < len(_UNITS):
        unit += 1
    beside = ""
    if model.adapter.rank:
        beside = f", {model.trained_parameters:,} trained beside them"
    yield f"{model.family}, {model.parameters:,} parameters{beside}"
    yield f"{count(mesh.world_size, 'rank')}: {spell_sizes(mesh)}"
    yield (
        f"computes in {config.precision.compute}, "
        f"{found.engine.micro_batch} of {found.engine.global_batch} sequences "
        f"of {model.context} tokens at a time"
    )
    yield ""
    yield f"{_UNITS[unit]} of memory on a rank, at the most in a step:"
    heads = "".join(f"{name:>8}" for name in _KINDS.values())
    yield f"{'ranks':<12}{'numbers':>9}{heads}"
    for row in rows:
        figures = "".join(
            f"{value / 1024 ** (unit + 1):>8.1f}"
            for value in _figures(row.memory)
        )
        numbers = shorten(row.memory.parameters)
        yield f"{spans(row.ranks):<12}{numbers:>9}{figures}"
    yield ""
    yield (
        "These are tensors. The process, its libraries and the driver of a GPU"
    )
    yield "come on top."
    if config.checkpoint.asynchronous:
        saving = max(row.memory.saving for row in rows) / 1024 ** (unit + 1)
        yield (
            f"So do {saving:.1f} {_UNITS[unit]} of host memory on a rank, to "
            "write checkpoints from"
        )
        yield "while training goes on (checkpoint.asynchronous=false: none)."
    if config.train.recompute_layers == "auto":
        yield "All blocks are recomputed here. A run finds how few have to be,"
        yield "and so does this where train.recompute_gib says what a rank has."


def _figures(memory: _C.RankMemory) -> tuple[int, ...]:
    return tuple(getattr(memory, kind) for kind in _KINDS)


def spans(ranks: list[int]) -> str:
    """Spells ranks as in `0-3,8`; a long list is cut."""
    parts: list[list[int]] = []
    for rank in sorted(ranks):
        if parts and rank == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], rank]
        else:
            parts.append([rank])
    text = ",".join("-".join(map(str, part)) for part in parts)
    return text if len(text) <= 11 else f"{text[:8].rpartition(',')[0]},..."
