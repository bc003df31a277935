"""A training job under `eisbach run`, as its files and processes show it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import signals
from torture.record import Record

if TYPE_CHECKING:
    from torture.planting import Planted

ROOT = Path(__file__).resolve().parents[2]
GLOBAL_BATCH = 12
HANG_SECONDS = 5
SPIKE_WINDOW = 8  # good steps before there are spikes
HASH_EVERY = 7  # not that of checkpoints: some of them hold wrong bits
_KEYS = (
    "model={layers: 2, hidden: 32, heads: 4, context: 16}",
    "optimizer.lr=1e-3",
    "run={device: cpu, log_every: 50}",
    "checkpoint={every_steps: 10, keep: 6}",
    "precision.compute=f32",  # what is planted in a master is computed with
    f"fault={{hang_seconds: {HANG_SECONDS}, on_spike: rerun, "
    f"spike_window: {SPIKE_WINDOW}, hash_every: {HASH_EVERY}}}",
)


@dataclass(frozen=True)
class Layout:
    """Ranks along each axis of the mesh."""

    data: int
    tensor: int
    pipeline: int

    @property
    def ranks(self) -> int:
        """How many there are."""
        return self.data * self.tensor * self.pipeline

    def __str__(self) -> str:
        """Such as `d2 t1 p2`."""
        return f"d{self.data} t{self.tensor} p{self.pipeline}"


LAYOUTS = tuple(
    Layout(*sizes)
    for sizes in (
        (1, 1, 1),
        (2, 1, 1),
        (1, 2, 1),
        (1, 1, 2),
        (3, 1, 1),
        (4, 1, 1),
        (2, 2, 1),
        (2, 1, 2),
        (1, 2, 2),
    )
)


class Job(Record):
    """One run, which may be started several times.

    Attributes:
      steps: Of it.
      log: What all of its starts have printed.
      orders: Folder for what ranks are told to break (torture.planting).
      planted: The last of it that a rank has obeyed.
      layout: Of the last start.
    """

    def __init__(
        self,
        disk: Path,
        name: str,
        steps: int,
        inside: Mapping[str, str] = MappingProxyType({}),
    ):
        """Starts nothing.

        Args:
          disk: Folder of the run folder.
          name: Of the run.
          steps: Of it.
          inside: Variables with which ranks obey orders.
        """
        super().__init__(disk / name)
        self.steps = steps
        self.layout = LAYOUTS[0]
        self.planted: Planted | None = None
        self._inside = inside
        self._keys = [
            *_KEYS,
            f"run.dir={disk}",
            f"run.name={name}",
            f"train={{steps: {steps}, global_batch: {GLOBAL_BATCH}, "
            "micro_batch: 1, validate_every: 0, validation_batches: 1}",
        ]
        self._mark = f"EISBACH_TORTURE={name}-{os.getpid()}"
        self._temporary = disk.with_name(f"{name}-tmp")
        self._temporary.mkdir()
        self.log = disk.with_name(f"{name}.log")
        self.orders = disk.with_name(f"{name}-orders")
        self.orders.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self._orphaned = False  # an mpirun of it

    def start(self, layout: Layout) -> None:
        """Starts it under `eisbach run`."""
        self.layout = layout
        mpirun = Path(sys.prefix, "bin", "mpirun")
        python = [sys.executable, "-m", "eisbach"]
        options = ["--map-by", ":oversubscribe", "--bind-to", "none"]
        command = [
            *(*python, "run", "--restarts", "99"),
            f"--end-file={self._temporary}/end",
            *("--", str(mpirun) if mpirun.exists() else "mpirun", *options),
            *("-n", str(layout.ranks), *python, "train", "configs/tiny.yaml"),
            *self._keys,
            f"parallel={{tensor: {layout.tensor}, data: {layout.data}, "
            f"pipeline: {layout.pipeline}}}",
        ]
        name, _, value = self._mark.partition("=")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={
                    **os.environ,
                    **self._inside,
                    name: value,
                    "EISBACH_TORTURE_ORDERS": str(self.orders),
                    "OMP_NUM_THREADS": "1",
                    "OMPI_ALLOW_RUN_AS_ROOT": "1",
                    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                    "OMPI_MCA_btl_sm_backing_directory": str(self._temporary),
                    "TMPDIR": str(self._temporary),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def status(self) -> int | None:
        """That `eisbach run` ended with; None while it runs."""
        assert self._process
        return self._process.poll()

    def supervisor(self) -> list[int]:
        """The process of `eisbach run`."""
        assert self._process
        return [self._process.pid] if self.status is None else []

    def launcher(self) -> list[int]:
        """The process of mpirun."""
        return signals.launchers_of(signals.processes(self._mark))

    def ranks(self) -> dict[int, int]:
        """The processes that train, by rank."""
        mine = signals.processes(self._mark)
        return signals.by_rank(signals.ranks_of(mine))

    def said(self) -> int:
        """Bytes that it has printed."""
        return self.log.stat().st_size

    def lines(self) -> tuple[int, int]:
        """Which file the metrics are, and how many lines it has.

        A run that is started again replaces the file.
        """
        try:
            path = self.run / "metrics.jsonl"
            with path.open("rb") as file:
                return os.fstat(file.fileno()).st_ino, file.read().count(b"\n")
        except OSError:
            return 0, 0

    def left(self, seconds: float) -> list[str]:
        """What of it is there after a while: processes, and their files.

        Memory that ranks of one host share under Open MPI is removed by the
        next job, when it has not been used for a minute. An mpirun whose
        `eisbach run` was killed ends in a hurry and may leave its folder, which
        goes when the next one of its process number starts.
        """
        self._orphaned |= self.status == -signal.SIGKILL
        end = time.monotonic() + seconds
        while (
            left := signals.processes(self._mark)
        ) and time.monotonic() < end:
            time.sleep(0.05)
        told = [f"process {pid}: {words}" for pid, words in left.items()]
        stay = ("sm_segment.", "ompi.") if self._orphaned else ("sm_segment.",)
        return told + [
            f"file {path}"
            for path in self._temporary.rglob("*")
            if not path.relative_to(self._temporary).parts[0].startswith(stay)
        ]

    def kill(self) -> None:
        """Ends all of it."""
        for pid in signals.processes(self._mark):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self._process:
            self._process.wait()
        shutil.rmtree(self._temporary, ignore_errors=True)
        shutil.rmtree(self.orders, ignore_errors=True)
