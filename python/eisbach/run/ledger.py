"""Which samples of the data order changed no weight, and steps done twice.

All others were trained on once: step s has the samples from (s - 1) x
global_batch on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eisbach import _C


@dataclass(frozen=True)
class BadStep:
    """A step that was not as it should be; a line of `ledger.jsonl`.

    Attributes:
      step: Counted from 1.
      outcome: `skipped` where the weights did not change, else `recomputed`.
      cause: `loss_not_finite`, `grad_norm_not_finite`, `loss_spike`,
        `grad_norm_spike`, or in f16 `gradient_overflow`.
      why: In words, with what computing it again has shown.
      first_sample: Of the step, by its place in the data order.
      samples: Of the step.
      loss: Of the step.
      grad_norm: Of the step.
      limit: Of a spike: what it is above; 0 for others.
      median: Of a spike: of the good steps before it; 0 for others.
    """

    step: int
    outcome: str
    cause: str
    why: str
    first_sample: int
    samples: int
    loss: float
    grad_norm: float
    limit: float
    median: float

    @classmethod
    def of(cls, result: _C.StepResult, global_batch: int) -> BadStep | None:
        """Returns what is to be said of a step; None of a good one."""
        if not result.skipped and not result.transient_fault:
            return None
        return cls(
            step=result.step,
            outcome="skipped" if result.skipped else "recomputed",
            cause=result.cause,
            why=result.why,
            first_sample=(result.step - 1) * global_batch,
            samples=global_batch,
            loss=result.loss,
            grad_norm=result.grad_norm,
            limit=result.limit,
            median=result.median,
        )

    def __str__(self) -> str:
        """Says it in a line, without the step."""
        if self.outcome == "recomputed":
            return f"computed again: {self.why}"
        last = self.first_sample + self.samples - 1
        return (
            f"skipped: {self.why}; samples {self.first_sample} to {last} "
            "change nothing"
        )
