"""A job of SLURM that trains, as SLURM and its files show it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from slurm.cluster import ROOT, SLOTS, Cluster
from torture.job import GLOBAL_BATCH
from torture.record import Record

TEMPLATE = ROOT / "scripts" / "launch" / "slurm.sbatch"
_PATIENCE_SECONDS = 600.0


class Job(Record):
    """A run, and the job that does it."""

    def __init__(self, cluster: Cluster, name: str, *keys: str):
        """Submits nothing; `keys` are added to those of the run."""
        self.cluster = cluster
        super().__init__(cluster.folder / "runs" / name)
        self.log = cluster.folder / f"{name}.log"
        self.keys = [
            "network.interface=net0",
            "run.device=cpu",
            f"run.dir={self.run.parent}",
            f"run.name={name}",
            "checkpoint={every_steps: 10, keep: 1000}",
            f"train.global_batch={GLOBAL_BATCH}",
            "train.micro_batch=1",
            "train.validate_every=0",
            *keys,
        ]
        self._number = ""

    @property
    def train(self) -> list[str]:
        """The command of a rank, without the keys."""
        return [f"{ROOT}/.venv/bin/eisbach", "train", "configs/tiny.yaml"]

    def tool(self, name: str) -> str:
        """A program of the environment, or the system's."""
        beside = ROOT / ".venv" / "bin" / name
        return str(beside) if beside.exists() else name

    def ranks(self, node: str) -> list[int]:
        """The processes of a node that train."""
        found = self.cluster.hosts.pids(node, "eisbach\0train")
        return sorted(
            pid
            for pid in found
            if Path(f"/proc/{pid}/comm").read_text().strip() == "eisbach"
        )

    def submit(self, *options: str) -> None:
        """Submits the project's template, with some options of sbatch."""
        words = [*options, str(TEMPLATE), "configs/tiny.yaml", *self.keys]
        self._submit(*words)

    def wrap(self, command: str) -> None:
        """Submits a command line, to which the keys are added."""
        keys = " ".join(f"'{key}'" for key in self.keys)
        self._submit(f"--wrap={command} {keys}")

    def _submit(self, *words: str) -> None:
        count = len(self.cluster.nodes)
        self._number = self.cluster.command(
            *("sbatch", "--parsable", f"--nodes={count}", "--exclusive"),
            *(f"--ntasks-per-node={SLOTS}", f"--gpus-per-node={SLOTS}"),
            *(f"--output={self.log}", "--open-mode=append"),
            *words,
        ).strip()

    def scontrol(self, verb: str, *words: str) -> None:
        """Does something to it: `requeue`, or `update` with what changes."""
        number = f"JobId={self._number}" if words else self._number
        self.cluster.command("scontrol", verb, number, *words)

    def cancel(self) -> None:
        """Cancels it."""
        self.cluster.command("scancel", self._number)

    def shown(self, name: str) -> str:
        """A field of what SLURM tells of it."""
        text = self.cluster.command(
            "scontrol", "-o", "show", "job", self._number
        )
        found = re.search(rf"\b{name}=(\S*)", text)
        return found[1] if found else ""

    @property
    def state(self) -> str:
        """Such as RUNNING."""
        return self.shown("JobState")

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state in _ENDED

    @property
    def said(self) -> str:
        """All that it has printed."""
        try:
            return self.log.read_text(errors="replace")
        except OSError:
            return ""

    def wait_for(self, what: Callable[[], bool]) -> None:
        """Waits until it holds.

        Raises:
          RuntimeError: It does not come to that.
        """
        end = time.monotonic() + _PATIENCE_SECONDS
        while not what():
            if time.monotonic() > end:
                raise RuntimeError(f"nothing comes: {self.state}\n{self.said}")
            time.sleep(0.2)

    def wait_for_steps(self, steps: int) -> None:
        """Waits until so many are done."""
        self.wait_for(lambda: len(self.metrics()) >= steps or self.is_over)

    def wait(self) -> str:
        """Waits for its end; returns its state."""
        self.wait_for(lambda: self.is_over)
        return self.state

    def left(self) -> list[str]:
        """What is there of it on the nodes after a while."""
        end = time.monotonic() + 10
        while (found := self._found()) and time.monotonic() < end:
            time.sleep(0.2)
        return found

    def _found(self) -> list[str]:
        hosts = self.cluster.hosts
        found = []
        for node in self.cluster.nodes:
            for pid in hosts.pids(node):
                line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
                if "slurmd" not in line.split("\0")[0]:
                    found.append(f"{node}: process {pid}: {line[:80]!r}")
            found += [f"{node}: memory {it}" for it in hosts.memory(node)]
        return found


_ENDED = (
    "COMPLETED",
    "CANCELLED",
    "FAILED",
    "TIMEOUT",
    "NODE_FAIL",
    "PREEMPTED",
)
