"""TensorBoard events."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from eisbach.run.metrics import StepMetrics, ValidationMetrics


@contextlib.contextmanager
def _without_torch() -> Iterator[None]:
    """Hides PyTorch from tensorboardX, which would load it for seconds."""
    loaded = "torch" in sys.modules
    if not loaded:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not loaded:
            del sys.modules["torch"]


class EventWriter:
    """Writes the same figures as the `.jsonl` files for TensorBoard."""

    def __init__(self, folder: Path, *, first: int = 0):
        """Opens a file of events.

        Args:
          folder: Made if it does not exist.
          first: Step after which a resumed run goes on; TensorBoard hides
            what an earlier file says of later steps.
        """
        with _without_torch():
            from tensorboardX import SummaryWriter

        # The name holds the second alone; two starts in one must not meet.
        self._writer = SummaryWriter(
            str(folder),
            purge_step=first + 1 if first else None,
            flush_secs=10,
            filename_suffix=f".{first}.{os.getpid()}",
        )

    def write(self, now: StepMetrics | ValidationMetrics) -> None:
        """Adds one scalar for each figure."""
        group = "train" if isinstance(now, StepMetrics) else "validation"
        for name, value in asdict(now).items():
            if name != "step" and value is not None:
                self._writer.add_scalar(f"{group}/{name}", value, now.step)

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()
