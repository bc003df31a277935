"""How far a run has come, and that a job has come to its end."""

from __future__ import annotations

import json
import os
from pathlib import Path

from eisbach.run.folder import RunFolder, write_atomically
from eisbach.run.process import launcher_rank
from eisbach.run.shown import Shown

# Names the file that a job writes last, for `eisbach launch`.
END_FILE = "EISBACH_END_FILE"


def state_file(folder: RunFolder) -> Path:
    """Where a run says how far it has come."""
    return folder.path / "state.json"


def tell_state(folder: RunFolder, step: int, status: int | None) -> None:
    """Writes how far a run has come; rank 0 alone.

    Args:
      folder: Of the run.
      step: Steps done.
      status: The exit status, once all ranks have come to their end; None
        while the run goes on.
    """
    facts: dict[str, object] = {"state": "running", "step": step}
    if status is not None:
        facts["state"] = "stopped" if status else "finished"
        facts["exit_status"] = status
    show = Shown("state.json")
    show(write_atomically, state_file(folder), json.dumps(facts) + "\n")


def tell_end(status: int) -> None:
    """Tells `eisbach launch` that all ranks have come to their end.

    The launcher of MPI cannot be asked: that of Open MPI 5 says 0 when it has
    lost a host.

    Args:
      status: The exit status of the job.
    """
    if (path := os.environ.get(END_FILE)) and launcher_rank() == 0:
        write_atomically(Path(path), f"{status}\n")
