"""Several processes that make tokens, in order and in bounded memory."""

from __future__ import annotations

import collections
import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from eisbach.data.chunks import Chunk, tasks
from eisbach.data.stitch import Encoded, encode_chunks

if TYPE_CHECKING:
    from eisbach.data.file_tokenizer import FileTokenizer

# Small texts are done before a process has started.
_ALONE = 8
# Each takes some 150 MiB; more help little where one process reads.
_MOST = 32


def default_processes() -> int:
    """Returns how many processes make tokens where nothing else is asked."""
    return min(len(os.sched_getaffinity(0)), _MOST)


class _Worker:
    def __init__(self, tokenizer: FileTokenizer):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "eisbach.data.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._send(tokenizer)

    def _send(self, what: object) -> None:
        try:
            pickle.dump(what, self._process.stdin, protocol=5)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._gone() from None

    def give(self, group: list[Chunk]) -> None:
        self._send(group)

    def take(self) -> list[Encoded]:
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
    """Makes tokens of chunks, from some point on in several processes."""

    def __init__(self, tokenizer: FileTokenizer, processes: int):
        """Starts nothing yet.

        Args:
          tokenizer: Makes the tokens.
          processes: At most so many beside this one; 1 takes this one.
        """
        self._tokenizer = tokenizer
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

    def encode(
        self, stream: Iterable[Chunk]
    ) -> Iterator[tuple[Chunk, Encoded]]:
        """Yields each chunk with its tokens, in their order."""
        # Each worker has one task at a time, so that neither side ever writes
        # to a pipe that the other does not read.
        given: collections.deque[tuple[list[Chunk], _Worker]]
        given = collections.deque()
        for number, group in enumerate(tasks(stream)):
            if number < _ALONE or not self._most:
                yield from self._pairs(
                    group, encode_chunks(self._tokenizer, group)
                )
                continue
            if len(self._workers) < self._most:
                worker = _Worker(self._tokenizer)
                self._workers.append(worker)
            else:
                before, worker = given.popleft()
                yield from self._pairs(before, worker.take())
            worker.give(group)
            given.append((group, worker))
        for group, worker in given:
            yield from self._pairs(group, worker.take())

    @staticmethod
    def _pairs(
        group: list[Chunk], found: list[Encoded]
    ) -> Iterator[tuple[Chunk, Encoded]]:
        return zip(group, found, strict=True)
