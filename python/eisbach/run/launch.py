"""`eisbach launch`: starts mpirun, and tells the truth about its end.

By itself Open MPI 5's mpirun gives ranks half a second from Ctrl-C, SIGTERM or
SIGHUP on, ends with 1 then, and with 0 when it has lost a host. Here it gets a
session of its own, so that no terminal reaches it, and a signal that it passes
on; what the job writes last says whether it came to its end. A scheduler that
stops a job signals all processes of it: what mpirun is sent waits there, and is
taken for a signal to this process.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eisbach.run.end_file import END_FILE, Told, read_told
from eisbach.run.handlers import put_back
from eisbach.run.process import LAUNCHERS
from eisbach.run.signals import (
    CLOSING_SECONDS,
    GRACE_SECONDS,
    GRACE_VARIABLE,
)
from eisbach.run.statuses import (
    DONE,
    ERROR,
    HANG,
    REQUEUE,
    killed_by,
    stopped_by,
)

# What ranks have to stop by themselves, unless told otherwise; below the ten
# seconds in which a job must be gone.
GRACE = GRACE_SECONDS + CLOSING_SECONDS
# What mpirun has to end them.
_ENDING_SECONDS = 1.5
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
# Mpirun ends its ranks by any of three; two of them are kept from it.
_KEPT_BACK = (signal.SIGTERM, signal.SIGHUP)
# By which a job is stopped.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@dataclass(frozen=True)
class Launch:
    """How a job is started and stopped.

    Attributes:
      command: `mpirun` and its arguments.
      end_file: What rank 0 writes when its job is ready and at its end, where
        both can see it.
      grace: Seconds that all ranks have from a signal on.
      name: Of the command that this is, for what it tells.
      variables: Added to the environment of the ranks.
      errors: Takes what the job prints on stderr; None leaves it ours.
      output: The same of stdout.
      trains: Whether ranks that are stopped before they have begun have lost
        nothing.
    """

    command: Sequence[str]
    end_file: Path
    grace: float = GRACE
    name: str = "launch"
    variables: Mapping[str, str] | None = None
    errors: int | None = None
    output: int | None = None
    trains: bool = False


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    Attributes:
      status: What it ended with, as `launch` returns it.
      told: What rank 0 has said of it.
      seconds: Since the epoch, when that was seen.
    """

    status: int
    told: Told
    seconds: float


def launch(
    command: list[str], *, end_file: Path | None = None, grace: float = GRACE
) -> int:
    """Runs a launcher of MPI whose ranks are a command of eisbach.

    SIGINT, SIGTERM and SIGHUP ask the ranks to stop; what is left after some
    seconds is ended. SIGUSR1 asks the same and sets no limit. Ranks that do not
    stop together yet, or are of a command that does not, are ended at once.

    Args:
      command: `mpirun` and its arguments.
      end_file: As in `Launch`; None takes a file in the current folder.
      grace: Seconds that the ranks have to stop.

    Returns:
      After a signal 128 + the signal, or 75 where it asked for a stop that lost
      nothing; else what `command` ended with, but 1 when that is 0 and the job
      did not come to its end.

    Raises:
      ValueError: `command` cannot be started.
    """
    with received() as signals:
        path = end_file or default_end_file()
        return run_job(Launch(command, path.absolute(), grace), signals).status


def default_end_file() -> Path:
    """A file in the current folder that no other launch has."""
    return Path(f".eisbach-end-{socket.gethostname()}-{os.getpid()}").absolute()


def run_job(job: Launch, signals: list[signal.Signals]) -> Ended:
    """Runs a job to its end.

    Args:
      job: What is started.
      signals: Those that this process gets, as of `received`; the first of
        them stops the job.

    Raises:
      ValueError: Its command cannot be started.
    """
    job.end_file.unlink(missing_ok=True)
    process = _start(job)
    try:
        _wait(process, signals, job)
    finally:
        _end(process)
    seen = time.time()
    told = read_told(job.end_file)
    job.end_file.unlink(missing_ok=True)
    return Ended(_status(process.returncode, signals, told, job), told, seen)


def _start(job: Launch) -> subprocess.Popen[bytes]:
    program, *words = job.command
    variables = {
        END_FILE: str(job.end_file),
        GRACE_VARIABLE: str(job.grace),
        **(job.variables or {}),
    }
    if "mpi" in Path(program).name:
        passed = [
            word for name in (*variables, "PATH") for word in ("-x", name)
        ]
        words = [*passed, *words]
    prepare = _guard if _is_mpirun(program) else _end_with_parent
    try:
        return subprocess.Popen(
            [program, *words],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=job.output,
            stderr=job.errors,
            start_new_session=True,
            preexec_fn=prepare,
        )
    except OSError as error:
        raise ValueError(
            f"{program}: cannot be started: {error.strerror}; give a "
            f"launcher, as in `eisbach {job.name} mpirun -n 2 eisbach train "
            "FILE`"
        ) from None


def _status(
    code: int, signals: list[signal.Signals], told: Told, job: Launch
) -> int:
    if signals and not (code == DONE and told.ended):
        asked = signals[0]
        kept = code == REQUEUE or (job.trains and not told.ready)
        return stopped_by(asked) if kept else killed_by(asked)
    if told.hung:
        return HANG
    if code < 0:
        return killed_by(-code)
    if code == DONE and not told.ended:
        print(
            f"eisbach {job.name}: {job.command[0]} ended with 0, but the job "
            "did not come to its end: a host, its daemon or the network to it "
            f"was lost (no {job.end_file})",
            file=sys.stderr,
        )
        return ERROR
    return code


@contextlib.contextmanager
def received() -> Iterator[list[signal.Signals]]:
    """Collects signals instead of being ended by them; urgent ones first."""
    found: list[signal.Signals] = []

    def take(number: int, _: object) -> None:
        if not found or found[0] == signal.SIGUSR1:
            found.insert(0, signal.Signals(number))

    old = {
        number: signal.signal(number, take)
        for number in SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield found
    finally:
        put_back(old)


def _is_mpirun(program: str) -> bool:
    return Path(program).name in LAUNCHERS


def _end_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Lets the launcher be stopped when this process is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))


def _guard() -> None:
    """Lets mpirun end by SIGINT alone; it gives its ranks their own mask.

    A killed mpirun leaves its folder, and one that finds another's under its
    own process number does not start ("listener thread failed to start", 213).
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _KEPT_BACK)
    _end_with_parent(signal.SIGINT)
    _remove_session(os.getpid())


def _waiting_signal(pid: int) -> signal.Signals | None:
    """Returns what was sent to a launcher that it is kept from."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    (mask,) = re.findall(r"^ShdPnd:\s*(\w+)$", status, re.MULTILINE) or ["0"]
    for number in _KEPT_BACK:
        if int(mask, 16) >> (number - 1) & 1:
            return number
    return None


def _wait(
    process: subprocess.Popen[bytes],
    signals: list[signal.Signals],
    job: Launch,
) -> None:
    """Waits for the end of the job; hurries it once there was a signal."""
    guarded = _is_mpirun(job.command[0])
    ending = signal.SIGINT if guarded else signal.SIGTERM
    asked = None  # with which signal
    ends = time.monotonic()
    while process.poll() is None:
        time.sleep(0.05)
        if guarded and not signals and (sent := _waiting_signal(process.pid)):
            signals.append(sent)
        if signals and signals[0] != asked:
            # mpirun passes the first on; the other makes it end its ranks. It
            # has a paragraph for each that dies of what it passed on.
            if asked is None:
                ready = read_told(job.end_file).ready
                process.send_signal(signal.SIGUSR1 if ready else ending)
            asked = signals[0]
            print(
                f"eisbach {job.name}: stopped by {asked.name}",
                file=sys.stderr,
                flush=True,
            )
            ends = time.monotonic() + job.grace
        if asked in (None, signal.SIGUSR1) or time.monotonic() < ends:
            continue
        process.send_signal(ending)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING_SECONDS)
        return


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leaves no mpirun behind, nor its files; ranks end with it."""
    if process.poll() is None:
        process.kill()
        process.wait()
    _remove_session(process.pid)


def _remove_session(pid: int) -> None:
    """Removes the folder of an mpirun, which Open MPI 5 does unless killed."""
    session = Path(tempfile.gettempdir(), f"ompi.{pid}")
    shutil.rmtree(session, ignore_errors=True)
