"""Results of steps, as they come in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from eisbach.run.ledger import BadStep
from eisbach.run.metrics import StepMetrics
from eisbach.run.times import step_times, unknown_times

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.job import Job
    from eisbach.run.reporter import Reporter
    from eisbach.run.saving import Saver


class Collector:
    """Collects the steps that were submitted and reports them.

    A step's seconds are those since the one before it was collected: where
    steps are collected late, the device works on the next one meanwhile.

    Attributes:
      asked_to_stop: Whether a rank had asked before a step that was collected:
        all ranks see it after the same step.
      asked_to_save: Whether one has asked for a checkpoint since the last
        `restart` from outside.
    """

    def __init__(self, job: Job, report: Reporter | None, saver: Saver) -> None:
        """Takes the job, rank 0's reporter, and who saves."""
        self._job = job
        self._report = report
        self._saver = saver
        self.asked_to_stop = False
        self.restart()

    def restart(self) -> None:
        """Leaves what was done since the last step out of the next one."""
        self.asked_to_save = False
        self._start_step()

    def _start_step(self) -> None:
        self._before = self._job.engine.device.trace_totals()
        self._start = time.perf_counter()

    def but(self, lag: int) -> None:
        """Collects all steps but the last `lag`."""
        while self._job.engine.submitted > lag:
            result = self._job.engine.collect()
            self.asked_to_stop |= result.asked_to_stop
            self.asked_to_save |= result.asked_to_save
            seconds = time.perf_counter() - self._start
            if self._report:
                if bad := BadStep.of(
                    result, self._job.config.train.global_batch
                ):
                    self._report.bad_step(bad)
                self._report.step(self._metrics(result, seconds))
                for line in result.straggler_news:
                    self._report.say(line)
            if result.saved:
                self._saver.ended(result.saved)
            self._start_step()

    def _metrics(self, result: _C.StepResult, seconds: float) -> StepMetrics:
        engine, config = self._job.engine, self._job.config
        model = engine.config.model
        tokens = config.train.global_batch * model.context
        if engine.device.runs_inline:
            totals = engine.device.trace_totals()
            times = step_times(self._before, totals, seconds)
        else:
            times = unknown_times()
        worst = next(iter(result.stragglers), None)
        link = result.slow_link
        return StepMetrics(
            step=result.step,
            loss=result.loss,
            grad_norm=result.grad_norm,
            learning_rate=result.learning_rate,
            loss_scale=result.loss_scale,
            skipped=result.skipped,
            tokens=result.step * tokens,
            counted=result.counted,
            tokens_per_second=tokens / seconds,
            step_seconds=seconds,
            model_tflops_per_second=model.flops_per_token
            * tokens
            / seconds
            / 1e12,
            peak_memory_bytes=engine.device.memory().peak_bytes_in_use,
            straggler_rank=worst and worst.rank,
            straggler_part=worst and worst.part,
            straggler_seconds=worst and worst.excess,
            slow_link=link and f"{link[0]}-{link[1]}",
            slow_link_seconds=result.slow_link_seconds,
            z_loss=result.z_loss,
            label_smoothing_loss=result.label_smoothing_loss,
            **_rewards(result),
            **times,
        )


def _rewards(result: _C.StepResult) -> dict[str, float]:
    found = result.rewards
    if found is None:
        return {}
    return {
        "chosen_reward": found.chosen,
        "rejected_reward": found.rejected,
        "reward_margin": found.margin,
        "reward_accuracy": found.accuracy,
    }
