"""A training job over hosts that are made up, as its files show it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import signals
from hosts.network import Hosts
from torture.job import GLOBAL_BATCH
from torture.record import Record

ROOT = Path(__file__).resolve().parents[2]
RANKS_PER_HOST = 2
STRAGGLER_STEPS = 25
# A hundred times what anything takes.
_PATIENCE_SECONDS = 400.0


class Job(Record):
    """A run, whose `eisbach run` is on the first host."""

    def __init__(
        self,
        hosts: Hosts,
        folder: Path,
        name: str,
        *,
        steps: int,
        hang_seconds: float,
    ):
        """Starts nothing.

        Args:
          hosts: On each of which there are two ranks.
          folder: Of runs, which all hosts see.
          name: Of the run.
          steps: Of it.
          hang_seconds: `fault.hang_seconds`.
        """
        self.hosts = hosts
        super().__init__(folder / name)
        self._log = folder / f"{name}.log"
        self._ranks = RANKS_PER_HOST * len(hosts.names)
        self._keys = [
            "network.interface=net0",
            "run.log_every=1000",
            "train={validate_every: 0, validation_batches: 1, micro_batch: 1, "
            f"global_batch: {GLOBAL_BATCH}, steps: {steps}}}",
            "checkpoint={every_steps: 10, keep: 100}",
            f"fault.hang_seconds={hang_seconds}",
            f"fault.straggler_steps={STRAGGLER_STEPS}",
            f"run.dir={folder}",
            f"run.name={name}",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it under `eisbach run`."""
        first = self.hosts.names[0]
        mpirun = Path(sys.prefix, "bin", "mpirun")
        python = [sys.executable, "-m", "eisbach"]
        places = ",".join(
            f"{name}:{RANKS_PER_HOST}" for name in self.hosts.names
        )
        command = [
            *(*self.hosts.on(first), *python, "run", "--restarts", "9"),
            f"--end-file={self.hosts.folder(first)}/end",
            *("--", str(mpirun) if mpirun.exists() else "mpirun"),
            *("--prtemca", "plm_ssh_agent", str(self.hosts.agent)),
            *("--host", places, "-n", str(self._ranks)),
            *("-x", "OMP_NUM_THREADS", *python, "train", "configs/tiny.yaml"),
            *self._keys,
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "OMPI_ALLOW_RUN_AS_ROOT": "1",
                    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def status(self) -> int | None:
        """That `eisbach run` ended with; None while it runs."""
        assert self._process
        return self._process.poll()

    @property
    def said(self) -> str:
        """All that it has printed."""
        return self._log.read_text(errors="replace")

    def first_rank(self, name: str) -> int:
        """The process of the lowest rank of a host."""
        found = self.hosts.pids(name, "-m\0eisbach\0train")
        ranks = signals.by_rank(
            pid for pid in found if _comm(pid).startswith("python")
        )
        return ranks[min(ranks)]

    def launcher(self) -> list[int]:
        """The process of mpirun."""
        found = self.hosts.pids(self.hosts.names[0], "eisbach\0train")
        return [pid for pid in found if _comm(pid) in ("mpirun", "prterun")]

    def supervisor(self) -> list[int]:
        """The process of `eisbach run`."""
        found = self.hosts.pids(self.hosts.names[0], "-m\0eisbach\0run")
        return [pid for pid in found if _comm(pid).startswith("python")]

    def has_done(self, steps: int) -> bool:
        """Whether so many steps are done."""
        return len(self.metrics()) >= steps

    def wait_for(self, what: Callable[[], bool], seconds: float = 0) -> bool:
        """Waits until it holds; returns whether it came to that."""
        end = time.monotonic() + (seconds or _PATIENCE_SECONDS)
        while not what():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def wait(self) -> int | None:
        """Waits for its end; None where that does not come."""
        self.wait_for(lambda: self.status is not None)
        return self.status

    def left(self, *, files: bool, seconds: float = 10.0) -> list[str]:
        """What is there after a while: processes, with their files and memory.

        Args:
          files: Whether files and memory count.
          seconds: That processes have to end.
        """
        names = [name for name in self.hosts.names if self.hosts.is_up(name)]
        self.wait_for(
            lambda: not any(self.hosts.pids(name) for name in names), seconds
        )
        found = []
        for name in names:
            found += [
                f"{name}: process {pid}: {_command(pid)}"
                for pid in self.hosts.pids(name)
            ]
            if files:
                memory = self.hosts.memory(name)
                found += [f"{name}: memory {it}" for it in memory]
                found += [
                    f"{name}: file {path}"
                    for path in self.hosts.folder(name).rglob("*")
                    if path.is_file()
                ]
        return found

    def kill(self) -> None:
        """Ends all of it."""
        for name in self.hosts.names:
            for pid in self.hosts.pids(name):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        if self._process:
            self._process.kill()
            self._process.wait()


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _command(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
    return line.replace("\0", " ")[:100]
