"""Reads the files of a run as they grow, for a tracker.

As a program it follows the run that started it: `python -m
eisbach.run.followers.follow NAME FOLDER PORT`.
"""

from __future__ import annotations

import contextlib
import select
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from eisbach.run.folder import RunFolder
from eisbach.run.tail import Tail

_PAUSE_SECONDS = 1.0
# A job must be gone ten seconds after it was told to stop.
_CLOSING_SECONDS = 8


class Follower(Protocol):
    """What a tracker is told."""

    def send(self, group: str, lines: list[dict[str, Any]]) -> None:
        """Takes lines of a file.

        Args:
          group: `train` for `metrics.jsonl`, `validation` for
            `validation.jsonl`.
          lines: In order; there is at least one.
        """
        ...

    def close(self) -> None:
        """Says that the run has ended."""
        ...


def follow(
    folder: RunFolder,
    follower: Follower,
    ended: Callable[[float], bool],
) -> None:
    """Sends all that a run has written and writes, until it has ended.

    Args:
      folder: Of the run.
      follower: Gets the lines.
      ended: Waits for so many seconds at most; returns whether the run has
        ended.
    """
    tails = {
        "train": Tail(folder.metrics),
        "validation": Tail(folder.validation),
    }
    over = False
    while True:
        for group, tail in tails.items():
            if lines := tail.read():
                follower.send(group, lines)
        if over:
            break
        over = ended(_PAUSE_SECONDS)
    follower.close()


def figures(line: dict[str, Any]) -> dict[str, float]:
    """Returns the figures of a line that are known, without the step."""
    return {
        name: float(value)
        for name, value in line.items()
        if name != "step" and isinstance(value, (int, float))
    }


@contextlib.contextmanager
def in_a_line() -> Iterator[None]:
    """Turns what a tracker raises, which may be anything, into its message."""
    try:
        yield
    except (ValueError, OSError) as error:
        if type(error) in (ValueError, OSError):  # our own
            raise
        raise _told(error) from error
    except Exception as error:
        raise _told(error) from error


def _told(error: Exception) -> ValueError:
    words = " ".join(str(error).split())
    return ValueError(f"{type(error).__name__}: {words}")


def _parent_ended(seconds: float) -> bool:
    """Whether the run, which holds the other end of stdin, is over."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    if ready:
        # Whatever a tracker does now, this process ends in time.
        signal.alarm(_CLOSING_SECONDS)
    return bool(ready)


def main() -> None:
    """Follows the run that started this process."""
    from eisbach.run.aside import step_back
    from eisbach.run.followers import make

    name, path, port = sys.argv[1:]
    step_back()
    folder = RunFolder(path)
    with in_a_line():
        follow(folder, make(name, folder, port=int(port)), _parent_ended)


if __name__ == "__main__":
    main()
