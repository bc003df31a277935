"""The ranks of a job, as a program of one's own starts them."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from eisbach.arguments import takes
from eisbach.device import best_device
from eisbach.run.process import abort

if TYPE_CHECKING:
    from eisbach import _C


@takes(device=str, threads=(int, str), interface=str)
def init(
    *,
    device: str = "auto",
    threads: int | str = "auto",
    interface: str = "auto",
) -> _C.World:
    """Joins the ranks that `mpirun` started; alone, makes a world of one.

    Collective; asked again, it gives the same world. From then on an exception
    that nobody catches takes all ranks down, once its trace is printed, and so
    does an exit status other than 0: no rank is left waiting for this one.

    Args:
      device: `cpu`, `cuda` (this rank's GPU of the host), or `auto`, which
        takes GPUs where there are some.
      threads: Of this rank; `auto` divides the cores of the host among its
        ranks.
      interface: Of the network that ranks of several hosts meet on; `auto`
        leaves it to MPI and NCCL.

    Raises:
      RuntimeError: The launcher and MPI disagree about the number of ranks, or
        the ranks have ended (`world.finalize`) and cannot join again.
      ValueError: The ranks have joined on another device, or this host has no
        such interface.
    """
    from eisbach import _C

    world = _C.init(
        best_device()[0] if device == "auto" else device,
        "" if interface == "auto" else interface,
    )
    if threads != "auto":
        _C.set_threads(threads)
    if world.size > 1:
        _take_ranks_down()
    return world


def leave() -> None:
    """Ends the job of this process where it has joined one; collective.

    Waits for all ranks, as long as it takes.
    """
    if core := sys.modules.get("eisbach._C"):
        core.finalize()


def _take_ranks_down() -> None:
    told = sys.excepthook

    def hook(
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType | None,
    ) -> None:
        told(kind, error, trace)
        abort(130 if issubclass(kind, KeyboardInterrupt) else 1)

    sys.excepthook = hook
