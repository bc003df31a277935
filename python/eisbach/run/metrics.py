"""Metrics on disk: a JSON object a line, there as soon as it is written."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from eisbach.run.folder import read_lines, write_atomically


@dataclass(frozen=True)
class StepMetrics:
    """One step.

    Attributes:
      step: Steps done, this one included.
      loss: Nats a token, mean over the global batch.
      grad_norm: L2 norm of the whole gradient before clipping.
      learning_rate: Of this step.
      loss_scale: What the loss was multiplied by in backward; 1 but in f16.
      skipped: Whether a gradient overflowed at that scale, so that the weights
        are as before; `grad_norm` is then not finite.
      tokens: Trained on since the first step.
      tokens_per_second: Of this step, over all ranks.
      step_seconds: Wall time of this step.
      model_tflops_per_second: Operations that the model needs (recompute not
        counted) by time, over all ranks.
      peak_memory_bytes: Most that this rank's allocator held.
      matmul_seconds: Of this step, in matrix products on this rank. This and
        what follows is None on a GPU, which does not tell.
      attention_seconds: The same in attention, its products included.
      exposed_communication_seconds: In which this rank waited for others and
        computed nothing.
      other_seconds: What is left of `step_seconds`: other ops, reading the
        batch, and whatever else the host did.
    """

    step: int
    loss: float
    grad_norm: float
    learning_rate: float
    loss_scale: float
    skipped: bool
    tokens: int
    tokens_per_second: float
    step_seconds: float
    model_tflops_per_second: float
    peak_memory_bytes: int
    matmul_seconds: float | None
    attention_seconds: float | None
    exposed_communication_seconds: float | None
    other_seconds: float | None


@dataclass(frozen=True)
class ValidationMetrics:
    """One validation.

    Attributes:
      step: Steps done before it.
      loss: Nats a token.
      bits_per_byte: Of the text; None where the length of the text is not
        known.
    """

    step: int
    loss: float
    bits_per_byte: float | None


class LineWriter:
    """Appends JSON objects to a file, each on disk when `write` returns."""

    def __init__(self, path: Path, *, keep_until: int = 0):
        """Opens the file.

        Args:
          path: The file; it is made if it does not exist.
          keep_until: Lines of later steps, left by a run that is now resumed
            from before them, are dropped.
        """
        kept = [r for r in read_lines(path) if r["step"] <= keep_until]
        write_atomically(path, "".join(map(to_line, kept)))
        self._stream = path.open("a", encoding="utf-8")

    def write(self, record: StepMetrics | ValidationMetrics) -> None:
        """Appends one line."""
        self._stream.write(to_line(asdict(record)))
        self._stream.flush()

    def close(self) -> None:
        """Closes the file; a second time does nothing."""
        self._stream.close()

    def __enter__(self) -> LineWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def to_line(record: dict[str, Any]) -> str:
    """Spells a record as a line of JSON, which has no NaN: it is null."""
    plain = {
        name: None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in record.items()
    }
    return json.dumps(plain, allow_nan=False) + "\n"


def bits_per_byte(loss: float, bytes_per_token: float | None) -> float | None:
    """Turns nats a token into bits a byte of text."""
    return (
        None
        if bytes_per_token is None
        else (loss / math.log(2) / bytes_per_token)
    )
