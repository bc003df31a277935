"""The training loop, on every rank."""

from __future__ import annotations

import contextlib
import os

from eisbach.config import Config, as_config
from eisbach.export.adapter_folder import export_run
from eisbach.job import Job, set_up
from eisbach.run.closing import closing
from eisbach.run.collector import Collector
from eisbach.run.folder import RunFolder
from eisbach.run.metrics import ValidationMetrics, bits_per_byte
from eisbach.run.opening import opening
from eisbach.run.process import launcher_rank
from eisbach.run.reporter import Reporter
from eisbach.run.restarts import seconds_left
from eisbach.run.resume import tell_nothing_left
from eisbach.run.saving import Saver, due
from eisbach.run.shown import Shown
from eisbach.run.signals import SignalWatch, urgent
from eisbach.run.state import StateFile
from eisbach.run.statuses import stopped_by
from eisbach.run.summary import summary
from eisbach.sampling import continuation
from eisbach.watching import enter_last_phase


def train(
    config: Config | str | os.PathLike[str],
    *,
    resume: RunFolder | None = None,
    parent: RunFolder | None = None,
    auto_resume: bool = False,
) -> int:
    """Trains on all ranks of the job; collective.

    Args:
      config: Resolved, the vocabulary apart; or the path of a file.
      resume: Folder of an earlier run to go on with; None makes a new one.
      parent: Run to fork: the new one begins with its newest checkpoint, or
        that of its `step`.
      auto_resume: Goes on with the last run of this name and parent, if any.

    Returns:
      The exit status, on all ranks: 0, or that of the signal that stopped it.

    Raises:
      ValueError: Sizes do not fit, data is damaged.
      NonFiniteError: A loss or gradient is not finite.
    """
    config = as_config(config)
    with SignalWatch() as watch, contextlib.ExitStack() as stack:
        if resume and launcher_rank() == 0:
            resume.hold()
            stack.callback(resume.release)
        job = set_up(
            config, resume=resume, parent=parent, auto_resume=auto_resume
        )
        if job.finished:
            return tell_nothing_left(job)
        stack.callback(job.folder.release)
        report = state = None
        if job.world.rank == 0:
            state = stack.enter_context(StateFile(job.folder, job.engine))
        reporting = stack.enter_context(contextlib.ExitStack())
        if state:
            report = reporting.enter_context(Reporter.of(job))
            for line in opening(job):
                report.say(line)
            watch.end_after(seconds_left(job.config.run.hours))
        watch.on_signal(job.engine.ask_to_stop, folder=job.folder.path)
        saver = reporting.enter_context(Saver(job, report))
        stopped = _loop(job, report, saver)
        watch.loop_ended()
        enter_last_phase(job.world)
        if stopped:
            saver.save(last=True)
        else:
            _close(job, report)
        saver.check()
        number = watch.agree(job.world) if stopped else 0
        status = stopped_by(number)
        if report and urgent(number):
            report.hurry()
        # Nobody leaves, or starts another run, before rank 0 has written all.
        reporting.close()
        job.world.barrier()
        if state:
            state.status = status
    return status


def _loop(job: Job, report: Reporter | None, saver: Saver) -> bool:
    """Runs the steps that are left, and returns whether all are to stop."""
    plan, often = job.config.train, job.config.checkpoint.every_steps
    collect = Collector(job, report, saver)
    # A run that was stopped after its last step still has its end to come.
    for step in range(min(job.first + 1, plan.steps), plan.steps + 1):
        if step > job.first:
            saver.asks()
            job.engine.submit(job.train.next(job.engine.device))
            collect.but(job.lag)
        last = step == plan.steps
        validates = last or due(step, plan.validate_every)
        saves = last or due(step, often) or collect.asked_to_save
        if validates or saves:
            collect.but(0)
        if collect.asked_to_stop:
            break
        if validates and (validation := _validate(job, step)) and report:
            report.validation(validation)
        if saves:
            saver.save(last=last)
        if validates or saves:
            collect.restart()
    collect.but(0)
    return collect.asked_to_stop


def _validate(job: Job, step: int) -> ValidationMetrics | None:
    """Measures the same batches each time; collective."""
    if job.validation is None:
        return None
    job.validation.seek(0)
    batches = job.config.train.validation_batches
    loss = job.engine.evaluate(
        job.validation.next(job.engine.device) for _ in range(batches)
    )
    bits = bits_per_byte(loss, job.bytes_per_token)
    return ValidationMetrics(step, loss, bits)


def _close(job: Job, report: Reporter | None) -> None:
    """Exports the model, then shows the result; collective."""
    # Steps have left memory of sizes that nothing below asks for.
    job.engine.device.trim_memory()
    adapts = job.config.adapter.rank > 0
    parameters = job.engine.gather(copy=False, adapter=adapts)
    if report:
        job.folder.check()
        export_run(job.folder, job.config, parameters, job.tokenizer)
        report.summary(facts := summary(job))
    sample = Shown("the sample", tells=report is not None)(continuation, job)
    if report:
        for line in closing(job, sample, facts):
            report.say(line)
