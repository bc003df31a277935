"""Gives each rank of a host its share of the cores, by a quota of the kernel.

Ranks that outnumber the cores disturb each other: one that waits for a core
looks busy, and while another waits for its neighbour it runs faster than its
share. With a quota each gets the same share whatever the others do.
"""

import dataclasses
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


@dataclasses.dataclass(frozen=True)
class Shares:
    """Groups of the kernel, one a rank.

    Attributes:
      folder: Holds a folder for each rank; None: there are no quotas.
      text: What there is, in words.
    """

    folder: Path | None
    text: str

    def wrap(self, command: list[str]) -> list[str]:
        """The command, of each rank in its group."""
        if self.folder is None:
            return command
        return [sys.executable, __file__, str(self.folder), *command]


@contextmanager
def core_shares(ranks: int, share: float, period_ms: float) -> Iterator[Shares]:
    """Makes a group for each rank, and removes them at the end.

    Args:
      ranks: How many.
      share: Of a core, for each; 0 asks for no groups.
      period_ms: In how many milliseconds of the clock a rank gets that share;
        a rank that has had it waits for the next ones.
    """
    if share == 0:
        yield Shares(None, f"no quotas on {os.cpu_count()} cores")
        return
    period = round(1000 * period_ms)
    quota = round(share * period)
    try:
        groups = list(_make(ranks, period, quota))
    except OSError as error:
        print(
            f"no quotas ({error}): {ranks} ranks share {os.cpu_count()} cores "
            "as the kernel pleases, and an action that waits for a core looks "
            "long",
            flush=True,
        )
        yield Shares(None, "no quotas")
        return
    try:
        yield Shares(
            groups[0].parent,
            f"each rank {share:.2f} of a core ({quota / 1000:.3g} ms in "
            f"{period / 1000:.3g})",
        )
    finally:
        for group in [*groups, groups[0].parent]:
            group.rmdir()


def _make(ranks: int, period: int, quota: int) -> Iterator[Path]:
    """Groups of version 1 (a hierarchy of its own) or 2 of the kernel's."""
    old = (ROOT / "cpu/cpu.cfs_quota_us").exists()
    base = ROOT / "cpu" if old else ROOT
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if ("cpu" if old else "") in controllers.split(","):
            base /= path.lstrip("/")
    above = base / f"eisbach-{os.getpid()}"
    above.mkdir()
    made = []
    try:
        if not old:
            (above / "cgroup.subtree_control").write_text("+cpu")
        for rank in range(ranks):
            group = above / str(rank)
            group.mkdir()
            made.append(group)
            if old:
                (group / "cpu.cfs_period_us").write_text(str(period))
                (group / "cpu.cfs_quota_us").write_text(str(quota))
            else:
                (group / "cpu.max").write_text(f"{quota} {period}")
    except OSError:
        for group in [*made, above]:
            group.rmdir()
        raise
    yield from made


def main() -> None:
    """Puts this rank into its group and on its core, and becomes the command.

    The threads of a rank would take turns on one core if it had one of its own.
    """
    rank = int(os.environ["OMPI_COMM_WORLD_RANK"])
    ranks = int(os.environ["OMPI_COMM_WORLD_SIZE"])
    group = Path(sys.argv[1]) / str(rank)
    (group / "cgroup.procs").write_text(str(os.getpid()))
    cores = sorted(os.sched_getaffinity(os.getppid()))
    os.sched_setaffinity(0, {cores[rank * len(cores) // ranks % len(cores)]})
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
