"""What the folder of a run tells of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


class Record:
    """A run by its files; those that are not there yet are empty.

    Attributes:
      run: The folder.
    """

    def __init__(self, run: Path):
        self.run = run

    def told(self, name: str) -> list[dict]:
        """The whole lines of a file."""
        try:
            text = (self.run / name).read_text()
        except OSError:
            return []
        whole = text[: text.rfind("\n") + 1]
        return [json.loads(line) for line in whole.splitlines()]

    def metrics(self) -> list[dict[str, float]]:
        """The lines of the metrics."""
        return self.told("metrics.jsonl")

    def checkpoints(self) -> list[Path]:
        """The complete ones, the oldest first."""
        found = (self.run / "checkpoints").glob("step-*")
        return sorted(path for path in found if path.suffix == "")

    def weights(self) -> bytes:
        """Those of the model that was exported at its end."""
        return (self.run / "model" / "model.safetensors").read_bytes()

    def damaged(self) -> list[str]:
        """What is wrong with its checkpoints, and what was left beside them."""
        folder = self.run / "checkpoints"
        if not folder.is_dir():
            return [f"there is no {folder}"]
        verified = subprocess.run(
            [sys.executable, "-m", "eisbach", "checkpoint", "verify", self.run],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        told = [verified.stdout[-2000:]] if verified.returncode else []
        more = set(folder.iterdir()) - set(self.checkpoints())
        return told + [f"left over: {path}" for path in more]
