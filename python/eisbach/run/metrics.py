"""Metrics on disk: a JSON object a line, there as soon as it is written."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from eisbach.files import write_atomically
from eisbach.run import lines
from eisbach.run.held import Held, LostError
from eisbach.run.ledger import BadStep
from eisbach.run.output import warn

if TYPE_CHECKING:
    from eisbach import _C


@dataclass(frozen=True)
class StepMetrics:
    """One step.

    Attributes:
      step: Steps done, this one included.
      loss: Nats a token, mean over the global batch; of pairs of answers
        their loss, mean over the pairs.
      grad_norm: L2 norm of the whole gradient before clipping.
      learning_rate: Of this step.
      loss_scale: What the loss was multiplied by in backward; 1 but in f16.
      skipped: Whether the weights are as before; `ledger.jsonl` says why.
      tokens: Read since the first step, those that do not count included.
      counted: Targets of this step that count (those of conversations are what
        is trained of them, and what fills a row up has none); of pairs of
        answers, these.
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
      straggler_rank: The rank that is late most; None where none is, or nobody
        looks (`fault.straggler_steps`).
      straggler_part: In which part of a step it loses most.
      straggler_seconds: By which it holds each step up.
      slow_link: The ranks whose link is slow and holds steps up, as "0-2"; None
        where none does, or nobody looks.
      slow_link_seconds: By which it does so.
      chosen_reward: Of pairs of answers (`train.objective: dpo`), else None:
        beta x (log p - log p of the reference) of those that were preferred,
        mean over the global batch.
      rejected_reward: The same of the other ones.
      reward_margin: Their difference.
      reward_accuracy: Share of the pairs whose chosen reward is the higher.
      z_loss: What `train.z_loss` adds to the loss that is trained, mean over
        the tokens that count; `loss` is without it. None where neither this
        nor `train.label_smoothing` is set.
      label_smoothing_loss: The same of `train.label_smoothing`.
    """

    step: int
    loss: float
    grad_norm: float
    learning_rate: float
    loss_scale: float
    skipped: bool
    tokens: int
    counted: int
    tokens_per_second: float
    step_seconds: float
    model_tflops_per_second: float
    peak_memory_bytes: int
    matmul_seconds: float | None
    attention_seconds: float | None
    exposed_communication_seconds: float | None
    other_seconds: float | None
    straggler_rank: int | None = None
    straggler_part: str | None = None
    straggler_seconds: float | None = None
    slow_link: str | None = None
    slow_link_seconds: float | None = None
    chosen_reward: float | None = None
    rejected_reward: float | None = None
    reward_margin: float | None = None
    reward_accuracy: float | None = None
    z_loss: float | None = None
    label_smoothing_loss: float | None = None


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


@dataclass(frozen=True)
class SaveMetrics:
    """How one checkpoint was written.

    Attributes:
      step: Steps done before it.
      bytes: Of its files.
      seconds: From its beginning until it was complete on the disk.
      stall_seconds: Of these, in which rank 0 did nothing else.
      hidden_seconds: The others: training went on.
      bytes_per_second: Of all ranks, while they wrote.
    """

    step: int
    bytes: int
    seconds: float
    stall_seconds: float
    hidden_seconds: float
    bytes_per_second: float

    @staticmethod
    def of(outcome: _C.SaveOutcome) -> SaveMetrics:
        """Takes the figures of a checkpoint."""
        return SaveMetrics(
            step=outcome.step,
            bytes=outcome.bytes,
            seconds=outcome.seconds,
            stall_seconds=outcome.stall_seconds,
            hidden_seconds=max(0.0, outcome.seconds - outcome.stall_seconds),
            bytes_per_second=outcome.bytes / outcome.write_seconds,
        )


Metrics = StepMetrics | ValidationMetrics | SaveMetrics | BadStep


class LineWriter:
    """Appends JSON objects to a file, each in it when `write` returns.

    Where the disk is full they wait in memory, and each later `write` tries
    again; a warning says so once.
    """

    def __init__(self, path: Path, *, keep_until: int = 0):
        """Opens the file.

        Lines that are damaged are told and moved to `NAME.damaged`.

        Args:
          path: The file; it is made if it does not exist.
          keep_until: Lines of later steps, left by a run that is now resumed
            from before them, are dropped.
        """
        self.path = path
        kept = lines.keep_until(lines.read_all(path), keep_until)
        if kept.damaged:
            self._set_aside(kept.damaged)
        self.lines = kept.lines
        self._last = kept.lines[-1].record["step"] if kept.lines else -1
        raw = b"".join(line.raw + b"\n" for line in kept.lines)
        write_atomically(path, raw)
        self._file = os.open(
            path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        )
        self._held = Held(path)
        self._waiting = b""
        self._told = False

    def _set_aside(self, damaged: list[lines.Line]) -> None:
        aside = self.path.with_name(self.path.name + ".damaged")
        before = aside.read_bytes() if aside.is_file() else b""
        raw = b"".join(line.raw + b"\n" for line in damaged)
        write_atomically(aside, before + raw)
        for line in damaged:
            warn(f"{self.path}:{line.number}: {line.fault}; moved to {aside}")

    def write(self, record: Metrics) -> None:
        """Appends one line; of a step that has one already, nothing.

        Raises:
          LostError: The file was moved, deleted or replaced.
        """
        self._check()
        if record.step <= self._last:
            return
        self._last = record.step
        self._waiting += to_line(asdict(record)).encode()
        try:
            self._write()
        except OSError as error:
            if not self._told:
                self._told = True
                warn(f"{error}: its lines wait in memory")

    def sync(self) -> None:
        """Returns when every line is on disk.

        Raises:
          OSError: The disk is full, or fails.
          LostError: As `write`.
        """
        self._check()
        self._write()
        os.fsync(self._file)

    def _check(self) -> None:
        if fault := self._held.fault():
            raise LostError(
                f"{self.path}: {fault} while the run wrote it, with its lines "
                f"up to step {self._last}"
            )

    def _write(self) -> None:
        """Writes all that waits, or nothing of it."""
        end = os.fstat(self._file).st_size
        written = 0
        try:
            while written < len(self._waiting):
                written += os.write(self._file, self._waiting[written:])
        except OSError as error:
            os.ftruncate(self._file, end)
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        self._waiting = b""

    def close(self) -> None:
        """Closes the file; a second time does nothing."""
        if self._file < 0:
            return
        try:
            self._write()
        except OSError as error:
            lost = self._waiting.count(b"\n")
            warn(f"{error}: the last {lost} lines are lost")
        os.close(self._file)
        self._file = -1
        self._held.release()

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
