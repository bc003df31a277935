"""What a job tells `eisbach launch` and `eisbach run`: how far it has come.

The launcher of MPI cannot be asked: that of Open MPI 5 says 0 when it has lost
a host, and passes a signal on to ranks that it still kills. So rank 0 writes a
file, of a word and, from the moment on at which all ranks stop together, the
run's folder. The watch of the core adds a line where it has to kill the
launcher (csrc/watch/watch.h).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from eisbach.files import write_atomically
from eisbach.run.process import launcher_rank

# Names the file.
END_FILE = "EISBACH_END_FILE"
_READY = "ready"
_REFUSED = "refused"
_HUNG = "hung"


@dataclass(frozen=True)
class Told:
    """What a job has told of itself.

    Attributes:
      ready: Whether all ranks stop together when a signal comes.
      ended: Whether they have come to their end.
      refused: Whether it found before its first step that it cannot do what it
        is asked to.
      hung: Whether its watch has ended it, and the launcher with it.
      folder: Of the run; None where it has told none.
    """

    ready: bool = False
    ended: bool = False
    refused: bool = False
    hung: bool = False
    folder: Path | None = None


def tell_ready(folder: Path | None = None) -> None:
    """Says that from now on all ranks stop together when a signal comes.

    Args:
      folder: Of the run; None where it has none.
    """
    lines = [_READY, *([str(folder.absolute())] if folder else [])]
    _tell("\n".join(lines) + "\n")


def tell_end(status: int) -> None:
    """Says that all ranks have come to their end.

    Args:
      status: The exit status of the job.
    """
    _tell(f"{status}\n", keeps_folder=True)


def tell_refused() -> None:
    """Says that the job cannot do what it is asked to; not once it is ready."""
    path = os.environ.get(END_FILE)
    if path and not read_told(Path(path)).ready:
        _tell(f"{_REFUSED}\n")


def _tell(text: str, *, keeps_folder: bool = False) -> None:
    name = os.environ.get(END_FILE)
    if not name or launcher_rank() != 0:
        return
    path = Path(name)
    if keeps_folder and (folder := read_told(path).folder):
        text += f"{folder}\n"
    write_atomically(path, text)


def read_told(path: Path) -> Told:
    """Reads the file of a job; one that is not there says nothing."""
    try:
        lines = path.read_text().removesuffix("\n").split("\n")
    except OSError:
        return Told()
    hung = _HUNG in lines
    word, *rest = [line for line in lines if line != _HUNG] or [""]
    return Told(
        ready=word not in ("", _REFUSED),
        ended=word not in ("", _READY, _REFUSED),
        refused=word == _REFUSED,
        hung=hung,
        folder=Path("\n".join(rest)) if rest else None,
    )
