"""What a job tells `eisbach launch`: that it takes signals, and its end.

The launcher of MPI cannot be asked: that of Open MPI 5 says 0 when it has lost
a host, and passes a signal on to ranks that it still kills.
"""

from __future__ import annotations

import os
from pathlib import Path

from eisbach.files import write_atomically
from eisbach.run.process import launcher_rank

# Names the file.
END_FILE = "EISBACH_END_FILE"
_READY = "ready\n"


def tell_ready() -> None:
    """Says that from now on all ranks stop together when a signal comes."""
    _tell(_READY)


def tell_end(status: int) -> None:
    """Says that all ranks have come to their end.

    Args:
      status: The exit status of the job.
    """
    _tell(f"{status}\n")


def _tell(text: str) -> None:
    if (path := os.environ.get(END_FILE)) and launcher_rank() == 0:
        write_atomically(Path(path), text)


def is_ready(path: Path) -> bool:
    """Whether the job of a file takes signals, or has come to its end."""
    return path.exists()


def has_ended(path: Path) -> bool:
    """Whether the job of a file has come to its end."""
    return path.exists() and path.read_text() != _READY
