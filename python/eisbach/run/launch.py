"""`eisbach launch`: starts mpirun, and tells the truth about its end.

By itself Open MPI 5's mpirun gives ranks half a second from Ctrl-C, SIGTERM or
SIGHUP on, ends with 1 then, and with 0 when it has lost a host. Here it gets a
session of its own, so that no terminal reaches it, and a signal that it passes
on; what the job writes last says whether it came to its end.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from eisbach.run.end_file import END_FILE, has_ended, is_ready
from eisbach.run.signals import CLOSING_SECONDS, GRACE_SECONDS

# What ranks have to stop by themselves; below the ten seconds in which a job
# must be gone.
_PATIENCE_SECONDS = GRACE_SECONDS + CLOSING_SECONDS
# What mpirun has to end them.
_ENDING_SECONDS = 1.5
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def launch(command: list[str], *, end_file: Path | None = None) -> int:
    """Runs a launcher of MPI whose ranks are a command of eisbach.

    SIGINT, SIGTERM and SIGHUP ask the ranks to stop; what is left after some
    seconds is ended. SIGUSR1 asks the same and sets no limit. Ranks that do not
    stop together yet, or are of a command that does not, are ended at once.

    Args:
      command: `mpirun` and its arguments.
      end_file: What rank 0 writes when its job is ready and at its end, where
        both can see it; None takes a file in the current folder.

    Returns:
      128 + the signal that was received; else what `command` ended with, but
      1 when that is 0 and the job did not come to its end.

    Raises:
      ValueError: `command` cannot be started.
    """
    if end_file is None:
        end_file = Path(f".eisbach-end-{socket.gethostname()}-{os.getpid()}")
    end_file = end_file.absolute()
    end_file.unlink(missing_ok=True)
    if "mpi" in Path(command[0]).name:
        command = [command[0], "-x", END_FILE, "-x", "PATH", *command[1:]]
    environment = {**os.environ, END_FILE: str(end_file)}
    with _received() as received:
        try:
            job = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        except OSError as error:
            raise ValueError(
                f"{command[0]}: cannot be started: {error.strerror}; give a "
                "launcher, as in `eisbach launch mpirun -n 2 eisbach train "
                "FILE`"
            ) from None
        try:
            _wait(job, received, end_file)
        finally:
            _end(job)
    came_to_its_end = has_ended(end_file)
    end_file.unlink(missing_ok=True)
    if received:
        return 128 + received[0]
    if job.returncode < 0:
        return 128 - job.returncode
    if job.returncode == 0 and not came_to_its_end:
        print(
            f"eisbach launch: {command[0]} ended with 0, but the job did not "
            "come to its end: a host, its daemon or the network to it was "
            f"lost (no {end_file})",
            file=sys.stderr,
        )
        return 1
    return job.returncode


@contextlib.contextmanager
def _received() -> Iterator[list[signal.Signals]]:
    """Collects signals instead of being ended by them; urgent ones first."""
    received: list[signal.Signals] = []

    def take(number: int, _: object) -> None:
        if not received or received[0] == signal.SIGUSR1:
            received.insert(0, signal.Signals(number))

    old = {
        number: signal.signal(number, take)
        for number in _SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _end_with_parent() -> None:
    """Lets mpirun be stopped when this process is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))


def _wait(
    job: subprocess.Popen[bytes],
    received: list[signal.Signals],
    end_file: Path,
) -> None:
    """Waits for the end of the job; hurries it once there was a signal."""
    asked = None  # with which signal
    ends = time.monotonic()
    while job.poll() is None:
        time.sleep(0.05)
        if received and received[0] != asked:
            # mpirun passes the first on; the other makes it end its ranks. It
            # has a paragraph for each that dies of what it passed on.
            if asked is None:
                ready = is_ready(end_file)
                job.send_signal(signal.SIGUSR1 if ready else signal.SIGTERM)
            asked = received[0]
            print(
                f"eisbach launch: stopped by {asked.name}",
                file=sys.stderr,
                flush=True,
            )
            ends = time.monotonic() + _PATIENCE_SECONDS
        if asked in (None, signal.SIGUSR1) or time.monotonic() < ends:
            continue
        job.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            job.wait(_ENDING_SECONDS)
        return


def _end(job: subprocess.Popen[bytes]) -> None:
    """Leaves no mpirun behind; ranks end with it."""
    if job.poll() is None:
        job.kill()
        job.wait()
