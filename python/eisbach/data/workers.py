"""Several processes that do the same work, in order and in bounded memory."""

from __future__ import annotations

import collections
import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

# Does all of a list, and returns as many results. It is sent to processes.
Work = Callable[[list[Any]], list[Any]]

# Small texts are done before a process has started.
_ALONE = 8
# Each takes some 150 MiB; more help little where one process reads.
_MOST = 32


def default_processes() -> int:
    """Returns how many processes make tokens where nothing else is asked."""
    return min(len(os.sched_getaffinity(0)), _MOST)


class _Worker:
    def __init__(self, work: Work):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "eisbach.data.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._send(work)

    def _send(self, what: object) -> None:
        try:
            pickle.dump(what, self._process.stdin, protocol=5)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._gone() from None

    def give(self, group: list[Any]) -> None:
        self._send(group)

    def take(self) -> list[Any]:
        try:
            found = pickle.load(self._process.stdout)
        except EOFError:
            raise self._gone() from None
        if isinstance(found, Exception):
            raise found
        return found

    def _gone(self) -> RuntimeError:
        status = self._process.wait()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return RuntimeError(
            f"a process that makes tokens ended by {how}; if memory was short, "
            "take fewer: --processes 1"
        )

    def stop(self) -> None:
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()


class Workers:
    """Does work on lists, from some point on in several processes."""

    def __init__(self, work: Work, processes: int):
        """Starts nothing yet.

        Args:
          work: What is done.
          processes: At most so many beside this one; 1 takes this one.
        """
        self._work = work
        self._most = processes if processes > 1 else 0
        self._workers: list[_Worker] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.stop()

    def done(self, groups: Iterable[list[Any]]) -> Iterator[tuple[Any, Any]]:
        """Yields each item of the lists with its result, in their order."""
        # Each worker has one task at a time, so that neither side ever writes
        # to a pipe that the other does not read.
        given: collections.deque[tuple[list[Any], _Worker]]
        given = collections.deque()
        for number, group in enumerate(groups):
            if number < _ALONE or not self._most:
                yield from zip(group, self._work(group), strict=True)
                continue
            if len(self._workers) < self._most:
                worker = _Worker(self._work)
                self._workers.append(worker)
            else:
                before, worker = given.popleft()
                yield from zip(before, worker.take(), strict=True)
            worker.give(group)
            given.append((group, worker))
        for group, worker in given:
            yield from zip(group, worker.take(), strict=True)
