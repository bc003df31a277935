"""How far a run has come, and how it ended."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from eisbach.files import read_json, write_atomically
from eisbach.run.folder import RunFolder
from eisbach.run.lock import is_held
from eisbach.run.shown import Shown
from eisbach.run.statuses import ERROR

if TYPE_CHECKING:
    from eisbach import _C

# Of `state.json`, always: it is written over in its place.
_BYTES = 128


def state_file(folder: RunFolder) -> Path:
    """Where a run says how far it has come."""
    return folder.path / "state.json"


class StateFile:
    """Says how far a run has come, by rank 0, as long as it holds the folder.

    Leaving the context says how the run ended: `finished`, `stopped` by a
    signal, or `failed` where an error leaves it. That needs no room on the
    disk and no right to the folder, which may be what the run has failed for.

    Attributes:
      status: The exit status that all ranks have agreed on; None while the run
        goes on.
    """

    def __init__(self, folder: RunFolder, engine: _C.Engine):
        """Writes nothing yet.

        Args:
          folder: Of the run.
          engine: Knows how many steps are done.
        """
        self.status: int | None = None
        self._path = state_file(folder)
        self._engine = engine
        self._show = Shown("state.json")
        self._file = -1

    def __enter__(self) -> StateFile:
        self._show(self._make)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            status = getattr(error, "exit_code", ERROR)
            self._show(self._replace, "failed", status)
        elif self.status is not None:
            state = "stopped" if self.status else "finished"
            self._show(self._replace, state, self.status)
        if self._file >= 0:
            os.close(self._file)

    def _make(self) -> None:
        write_atomically(self._path, self._spell("running"))
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(self._path, flags)

    def _replace(self, state: str, status: int) -> None:
        os.pwrite(self._file, self._spell(state, exit_status=status), 0)
        os.fsync(self._file)

    def _spell(self, state: str, **more: int) -> bytes:
        facts = {"state": state, "step": self._engine.steps_done, **more}
        return json.dumps(facts).ljust(_BYTES - 1).encode() + b"\n"


def standing(folder: RunFolder) -> str:
    """Returns how a run stands, as others see it.

    Returns:
      `running`, `finished`, `stopped`, `failed`, `crashed` where it ended
      without a word; empty where its folder does not tell.
    """
    held = is_held(folder.path / "lock")
    try:
        told = str(read_json(state_file(folder))["state"])
    except (OSError, ValueError, KeyError, TypeError):
        told = ""
    if held:
        return "running"
    if told == "running" and held is False:
        return "crashed"
    return told
