"""Which hosts a job does without, because they have failed it before."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from eisbach.config import load_config
from eisbach.fitting import count, fit, on_ranks
from eisbach.run.command import TrainCommand
from eisbach.run.folder import RunFolder
from eisbach.run.hosts import Hosts, on_hosts, read_hosts

# So many faults of a host are its own; one may have been of the job.
MOST_FAILURES = 2


class FailedHosts:
    """Counts the faults of each host."""

    def __init__(self) -> None:
        self._failures: Counter[str] = Counter()

    def after(self, host: str, job: TrainCommand, folder: str) -> str:
        """Leaves a host out of a job once it has failed twice.

        The job then gets as many ranks as the others take, or fewer where the
        batch does not divide; the samples of a step stay the same.

        Args:
          host: That a fault was of, as its message names it; empty for none.
          job: Whose launcher is changed.
          folder: Of the run; empty where it has none yet.

        Returns:
          What is to be told; empty where nothing changes.
        """
        if not host or not job.launcher:
            return ""
        hosts = read_hosts(job.launcher)
        found = hosts.find(host)
        self._failures[found] += 1
        if not found or self._failures[found] < MOST_FAILURES:
            return ""
        left = hosts.without(found)
        failed = f"{found} has failed {self._failures[found]} times"
        if not left.slots:
            return f"{failed}, but there is no other host"
        ranks = _most_that_fit(left, job, folder)
        if not ranks:
            return (
                f"{failed}, but the run does not fit the "
                f"{count(left.most_ranks, 'rank')} of the other hosts"
            )
        job.launcher = on_hosts(job.launcher, left, ranks)
        where = ", ".join(left.slots)
        return f"{failed} and is left out: {count(ranks, 'rank')} on {where}"


def _most_that_fit(left: Hosts, job: TrainCommand, folder: str) -> int:
    """Returns 0 where no number of ranks fits.

    The configuration of a run that has begun tells its layout; only the number
    of data ranks may change.
    """
    if not folder:
        return left.most_ranks
    keys = [word for word in job.arguments if "=" in word and word[0] != "-"]
    config = load_config(RunFolder(Path(folder)).config, keys)
    for ranks in range(left.most_ranks, 0, -1):
        try:
            fit(on_ranks(config, ranks), ranks)
        except ValueError:
            continue
        return ranks
    return 0
