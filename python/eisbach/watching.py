"""The watch for hangs: what the core cannot know of a run in Python."""

from __future__ import annotations

import faulthandler
import os
import signal
from typing import TYPE_CHECKING

from eisbach.run.end_file import END_FILE

if TYPE_CHECKING:
    from eisbach import _C

# What the core asks a thread for its stack by (watch/stack.h).
_STACK_SIGNAL = signal.SIGURG
_CPU_SECONDS = 60.0
_GPU_SECONDS = 300.0
_STRAGGLER_STEPS = 50
_CIRCLE_SECONDS = 2.0


def watch(
    world: _C.World,
    *,
    hang_seconds: float | str,
    interface: str,
    checks_calls: bool = False,
) -> _C.Watch | None:
    """Starts to watch whether the job goes on; collective.

    The main thread of each rank calls it: its stack is the one that is told.

    Args:
      world: All ranks.
      hang_seconds: `fault.hang_seconds`.
      interface: `network.interface`.
      checks_calls: `fault.check_collectives`: ranks that wait for one another
        in calls that differ are then told of sooner.

    Returns:
      The watch, which lives as long as the world; None for a rank alone, and
      where `hang_seconds` is 0.
    """
    from eisbach import _C

    if hang_seconds == "auto":
        inline = world.device.runs_inline
        hang_seconds = _CPU_SECONDS if inline else _GPU_SECONDS
    if world.size == 1 or not hang_seconds:
        return None
    # A file without a name, which stays open as long as the process.
    frames = os.memfd_create("eisbach-frames")
    faulthandler.register(_STACK_SIGNAL, file=frames, all_threads=False)
    return _C.watch(
        world,
        hang_seconds,
        interface="" if interface == "auto" else interface,
        traceback_fd=frames,
        circle_seconds=_CIRCLE_SECONDS if checks_calls else 0.0,
        launcher_file=os.environ.get(END_FILE, ""),
    )


def watch_stragglers(engine: _C.Engine, steps: int | str) -> None:
    """Starts to look for ranks and links that are slow; collective.

    Args:
      engine: Whose step results tell from here on.
      steps: `fault.straggler_steps`. `auto` looks for none on GPUs: nobody has
        measured yet what their clock takes of a step.
    """
    if steps == "auto":
        steps = _STRAGGLER_STEPS if engine.device.runs_inline else 0
    if steps:
        engine.watch_stragglers(steps)


def enter_last_phase(world: _C.World) -> None:
    """Says that what comes now may keep the other ranks waiting for long."""
    from eisbach import _C

    _C.enter_phase(world, "export")
