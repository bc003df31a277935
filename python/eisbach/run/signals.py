"""A signal asks all ranks to stop after the same step, or ends them.

While the core works, Python runs no signal handler. So a thread of its own
gets every signal, is told of it through a pipe, and asks; the request travels
with a sum of the next step, and all ranks leave the loop together. A rank for
which that takes too long takes all down: it may wait for one that is gone.

No other thread of this process gets a signal meanwhile.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from eisbach.run.end_file import tell_ready
from eisbach.run.handlers import put_back
from eisbach.run.output import tell
from eisbach.run.process import (
    abort,
    failure_announced,
    launcher_rank,
    launchers_pid,
    tell_at_end,
)
from eisbach.run.statuses import killed_by

if TYPE_CHECKING:
    from eisbach import _C

# docs/launch.md tells both. Together they stay below the ten seconds in which
# a job must be gone.
GRACE_SECONDS = 3.0
CLOSING_SECONDS = 5.0
# What both are together, where whoever launched the job says.
GRACE_VARIABLE = "EISBACH_GRACE"
# These must end a process soon.
_URGENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# These ask for the same and leave all the time that it takes: one is passed on
# by mpirun, and sent ahead of time by job systems, the other comes from a timer
# of this process.
_PATIENT = (signal.SIGUSR1, signal.SIGALRM)
_OURS = (*_URGENT, *_PATIENT)
_WAKE = b"\0"  # no signal has this number


def urgent(number: int) -> bool:
    """Whether a signal leaves little time."""
    return number in _URGENT


class SignalWatch:
    """Watches for signals inside its context; `received` is what came.

    Only the main thread can make one. A signal that is ignored when it is
    entered (nohup) stays so.
    """

    def __init__(
        self,
        *,
        grace_seconds: float | None = None,
        closing_seconds: float | None = None,
    ):
        """Makes a watch that does not watch yet.

        Args:
          grace_seconds: From a signal to `loop_ended`; None for what the
            launcher of the job leaves, or else 3.
          closing_seconds: From there, or a later signal, to the end of the
            context; None as well, or else 5.
        """
        usual = GRACE_SECONDS + CLOSING_SECONDS
        share = float(os.environ.get(GRACE_VARIABLE, usual)) / usual
        if grace_seconds is None:
            grace_seconds = share * GRACE_SECONDS
        if closing_seconds is None:
            closing_seconds = share * CLOSING_SECONDS
        self.received: signal.Signals | None = None
        self._grace = grace_seconds
        self._closing = closing_seconds
        self._ask: Callable[[], None] | None = None
        self._lock = threading.Lock()  # of `received` and `_ask`
        self._loop_ended = False
        self._done = False
        self._told = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def on_signal(
        self, ask: Callable[[], None], *, folder: Path | None = None
    ) -> None:
        """Lets a signal call `ask`, at once where one has come already.

        All ranks have entered their watch, which `eisbach launch` is told.

        Args:
          ask: Asks all ranks to stop. On the thread of the watch.
          folder: Of the run, which whoever launched it is told as well.
        """
        with self._lock:
            self._ask = ask
            received = self.received
        tell_ready(folder)
        if received:
            ask()

    def end_after(self, seconds: float) -> None:
        """Lets SIGALRM come to this process after a time; never if infinite."""
        if seconds < math.inf:
            signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))

    def loop_ended(self) -> None:
        """Says that all ranks have left the loop."""
        self._loop_ended = True
        self._wake()

    def agree(self, world: _C.World) -> int:
        """Tells once why all ranks stop; collective.

        Returns:
          The largest signal that one of them got, 0 when none did.
        """
        number = world.largest(self.received or 0)
        if not number:
            return 0
        if world.rank == 0:
            self._tell_of(signal.Signals(number))
        return number

    def __enter__(self) -> SignalWatch:
        self._old_fd = signal.set_wakeup_fd(
            self._writer, warn_on_full_buffer=False
        )
        # A handler must be there for the pipe to be written; it does nothing.
        self._old = {
            number: signal.signal(number, lambda *_: None)
            for number in _OURS
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        _watching.append(self)
        self._old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)
        self._thread = threading.Thread(
            target=self._watch, name="eisbach-signals", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._wake()
        self._thread.join()
        _watching.remove(self)
        put_back(self._old)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._old_mask)
        signal.set_wakeup_fd(self._old_fd)
        os.close(self._writer)
        os.close(self._reader)

    def _leave_to_parent(self) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it wakes up anyway
            os.write(self._writer, _WAKE)

    def _watch(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
        end = None  # when this rank must be there, once it must
        closing = False
        while not self._done:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([self._reader], [], [], left)[0]:
                self._give_up()
            for number in os.read(self._reader, 64):
                if number:
                    self._take(signal.Signals(number))
            urgent = self.received in _URGENT
            if urgent and (end is None or (self._loop_ended and not closing)):
                closing = self._loop_ended
                limit = self._closing if closing else self._grace
                end = time.monotonic() + limit

    def _take(self, number: signal.Signals) -> None:
        if self.received in _URGENT:
            return
        with self._lock:
            self.received = number
            ask = self._ask
        if ask:
            ask()
        if launcher_rank():
            return
        if number == signal.SIGTERM and launchers_pid():
            if failure_announced():
                return
            # It may be stopping itself, and then ends its ranks at once.
            tell_at_end(
                "eisbach: stopped by SIGTERM (what mpirun makes of Ctrl-C, of "
                "SIGHUP and of a rank that it has lost)"
            )
        else:
            self._tell_of(number)

    def _tell_of(self, number: signal.Signals) -> None:
        if not self._told and not failure_announced():
            self._told = True
            ours = number == signal.SIGALRM
            why = (
                ": its time is over (run.hours)"
                if ours
                else f" by {number.name}"
            )
            tell(f"eisbach: stopped{why}")

    def _give_up(self) -> None:
        """Takes all ranks down; rank 0 first, which has told why."""
        if launcher_rank():
            time.sleep(0.2)
        name = self.received.name if self.received else ""
        what = (
            f"closing takes longer than {self._closing:g} s"
            if self._loop_ended
            else f"no step ended within {self._grace:g} s"
        )
        tell_at_end(f"eisbach: rank {launcher_rank()}: {name}, and {what}")
        abort(killed_by(self.received or 0))


# A signal of a fork must not look like one of this process, with which it
# shares the pipe.
_watching: list[SignalWatch] = []
_forking = threading.local()


def _hold_signals() -> None:
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _give_signals_back() -> None:
    for watch in _watching:
        watch._leave_to_parent()
    if _watching:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
    else:
        _release_signals()


os.register_at_fork(
    before=_hold_signals,
    after_in_parent=_release_signals,
    after_in_child=_give_signals_back,
)
