"""`eisbach doctor --network`: are all ranks and links as fast as their like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from eisbach.world import init

if TYPE_CHECKING:
    from eisbach import _C

# How much longer everything takes a rank that pretends to be slow.
PRETENDED_SLOWDOWN = 10.0


def examine_network(
    *, device: str = "auto", pretend_slow: int | None = None
) -> int:
    """Measures all ranks of the job and the links between them; collective.

    Rank 0 prints where each rank runs, what was measured, and what is slow.

    Args:
      device: `cpu`, `cuda`, or `auto`.
      pretend_slow: A rank that takes ten times as long for everything.

    Returns:
      How many outliers there are, on every rank.

    Raises:
      ValueError: There is no such rank.
    """
    from eisbach import _C

    world = init(device=device)
    if pretend_slow is not None and not 0 <= pretend_slow < world.size:
        raise ValueError(
            f"--pretend-slow={pretend_slow} is no rank of {world.size}; "
            f"nearest that works: {min(max(pretend_slow, 0), world.size - 1)}"
        )
    locations = _C.gather_locations(world)
    slow = world.rank == pretend_slow
    report = _C.check_network(
        world, locations, slowdown=PRETENDED_SLOWDOWN if slow else 1.0
    )
    outliers = report.outliers(locations)
    if world.rank == 0:
        print("\n".join(_told(locations, report, outliers)), flush=True)
    world.barrier()
    return len(outliers)


def _told(
    locations: list[_C.RankLocation],
    report: _C.NetworkReport,
    outliers: list[str],
) -> Iterator[str]:
    """Yields lines, or several in one."""
    from eisbach import _C

    yield _C.rank_table(locations)
    yield report.table(locations)
    if not outliers:
        yield "nothing is slower than 0.8 of the median of its kind"
        return
    yield "slower than 0.8 of the median of its kind:"
    for line in outliers:
        yield f"  {line}"
