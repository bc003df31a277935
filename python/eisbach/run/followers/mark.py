"""How far a tracker has been told of a run, kept in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eisbach.files import read_json, write_atomically
from eisbach.run.folder import RunFolder


class Mark:
    """The tracker's own name of the run, and the last step it was sent.

    A run that is resumed goes on in the same place, and what it computes again
    is sent once.
    """

    def __init__(self, folder: RunFolder, name: str):
        """Reads the mark that an earlier process left.

        Args:
          folder: Of the run.
          name: Of the tracker.
        """
        self._path: Path = folder.path / f"{name}.json"
        self.id = ""
        self._sent: dict[str, int] = {}
        try:
            kept = read_json(self._path)
            self.id, self._sent = str(kept["id"]), dict(kept["sent"])
        except (OSError, ValueError, KeyError, TypeError):
            return

    def news(
        self, group: str, lines: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Returns the lines that the tracker has not been sent."""
        sent = self._sent.get(group, 0)
        return [line for line in lines if line["step"] > sent]

    def keep(self, group: str, step: int) -> None:
        """Remembers that all lines up to a step were sent."""
        self._sent[group] = max(step, self._sent.get(group, 0))
        self.save()

    def save(self) -> None:
        """Writes the mark."""
        text = json.dumps({"id": self.id, "sent": self._sent})
        write_atomically(self._path, text + "\n")
