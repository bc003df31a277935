"""How signals are handled again when a job is over."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | int | None

_ignored: set[int] = set()


def ignore_afterwards(*numbers: signal.Signals) -> None:
    """Lets signals that come after the job ask for nothing any more.

    For a process that ends with its job: how that has ended is all that is left
    to say, and a signal would end the process before that.
    """
    _ignored.update(numbers)


def put_back(old: Mapping[int, Handler]) -> None:
    """Gives signals the handlers that they had before the job."""
    for number, handler in old.items():
        ignored = number in _ignored
        signal.signal(number, signal.SIG_IGN if ignored else handler)
