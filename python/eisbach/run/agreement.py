"""How ranks fail together: the one that knows the cause says it to all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eisbach import _C

# What a user, a file or a peer can cause; all else is a fault of the program.
CAUSES = (ArithmeticError, MemoryError, OSError, RuntimeError, ValueError)


def spell(error: BaseException) -> str:
    """Returns the words of an error; those of the system name the file."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        name = os.fsdecode(error.filename)
        if isinstance(error.filename2, (str, bytes)):
            name += f" -> {os.fsdecode(error.filename2)}"
        return f"{name}: {error.strerror}"
    return str(error) or type(error).__name__


@contextmanager
def agreed(world: _C.World) -> Iterator[None]:
    """Lets all ranks fail where one does, with its cause; collective.

    For what each rank does alone between two collectives: the others would
    wait in the next one, and where several fail for different causes, that of
    the lowest rank is the one that all of them raise.

    Args:
      world: All ranks, which all come here.

    Raises:
      ValueError: Another rank failed; it says which and why.
    """
    from eisbach import _C

    cause = None
    try:
        yield
    except CAUSES as error:
        cause = error
    mine = "" if cause is None else spell(cause)
    told = _C.first_error(world, mine)
    if cause is not None and told == _prefix(world) + mine:
        raise cause
    if told:
        raise ValueError(told) from cause


def _prefix(world: _C.World) -> str:
    return f"rank {world.rank}: " if world.size > 1 else ""
