"""Weights & Biases: where to is said by its own variables (WANDB_PROJECT)."""

from __future__ import annotations

import os
import secrets
from typing import Any

from eisbach.run.comparison import read_run
from eisbach.run.folder import RunFolder
from eisbach.run.followers.follow import figures
from eisbach.run.followers.mark import Mark


class WandbFollower:
    """Logs figures and the configuration."""

    def __init__(self, folder: RunFolder):
        """Makes a run in W&B, or goes on with that of an earlier process.

        Raises:
          ValueError: The package is not installed.
        """
        try:
            import wandb
        except ImportError:
            raise ValueError(
                "Weights & Biases is not installed: pip install eisbach[wandb]"
            ) from None
        self._mark = Mark(folder, "wandb")
        if not self._mark.id:
            self._mark.id = secrets.token_hex(4)
            self._mark.save()
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "eisbach"),
            name=folder.path.name,
            id=self._mark.id,
            resume="allow",
            dir=str(folder.path),
            config=read_run(folder.path).keys,
        )
        # Validations come later than the steps of their time.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def send(self, group: str, lines: list[dict[str, Any]]) -> None:
        """Logs lines."""
        for line in self._mark.news(group, lines):
            told = {
                f"{group}/{name}": value
                for name, value in figures(line).items()
            }
            self._run.log({"step": line["step"], **told})
        self._mark.keep(group, lines[-1]["step"])

    def close(self) -> None:
        """Waits until all is sent."""
        self._run.finish()
