"""Ctrl-C and SIGTERM: the step in hand ends, or the process does.

While the core works, Python runs no signal handler. So a thread of its own
is told of a signal through a pipe, says so, and gives the loop a moment to
end between two steps; a rank that waits for one that is gone is then ended.
Once the loop has ended, closing files and drawing the curve have their time.
"""

from __future__ import annotations

import os
import signal
import threading
from types import TracebackType

from eisbach.run.process import abort, launcher_rank, tell_at_end

# mpirun passes a signal on and kills what is left a little later.
_GRACE_SECONDS = 3.0
# Both together stay below the ten seconds in which a job must be gone.
_CLOSING_SECONDS = 5.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalWatch:
    """Watches for signals inside its context; `received` is the first one.

    Only the main thread can make one.
    """

    def __init__(
        self,
        *,
        grace_seconds: float = _GRACE_SECONDS,
        closing_seconds: float = _CLOSING_SECONDS,
    ):
        """Makes a watch that does not watch yet.

        Args:
          grace_seconds: From a signal to `loop_ended`.
          closing_seconds: From there to the end of the context.
        """
        self.received: signal.Signals | None = None
        self._grace = grace_seconds
        self._closing = closing_seconds
        self._loop_ended = threading.Event()
        self._done = threading.Event()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    @property
    def exit_code(self) -> int:
        """What a shell shows of a process that the signal ended."""
        return 128 + (self.received or 0)

    def loop_ended(self) -> None:
        """Says that this rank waits for no other any more."""
        self._loop_ended.set()

    def __enter__(self) -> SignalWatch:
        self._old_fd = signal.set_wakeup_fd(self._writer)
        # A handler must be there for the pipe to be written; it does nothing.
        self._old = {
            number: signal.signal(number, lambda *_: None)
            for number in _SIGNALS
        }
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
        self._done.set()
        self._loop_ended.set()
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        os.close(self._writer)
        self._thread.join()
        os.close(self._reader)

    def _watch(self) -> None:
        number = os.read(self._reader, 1)
        if not number:
            return
        self.received = signal.Signals(number[0])
        if launcher_rank() == 0:
            tell_at_end(f"eisbach: stopped by {self.received.name}")
        if not (
            self._loop_ended.wait(self._grace)
            and self._done.wait(self._closing)
        ):
            abort(self.exit_code)
