"""The training loop, on every rank."""

from __future__ import annotations

import contextlib

from eisbach.config import Config
from eisbach.export import export_model
from eisbach.job import Job, save, set_up
from eisbach.run.collector import Collector
from eisbach.run.folder import RunFolder, read_lines
from eisbach.run.metrics import ValidationMetrics, bits_per_byte
from eisbach.run.opening import opening
from eisbach.run.reporter import Reporter
from eisbach.run.signals import SignalWatch
from eisbach.run.state import tell_state
from eisbach.run.summary import summary
from eisbach.run.times import shares, spell
from eisbach.sampling import continuation


def train(config: Config, *, resume: RunFolder | None = None) -> int:
    """Trains on all ranks of the job; collective.

    Args:
      config: Resolved, the vocabulary apart.
      resume: Folder of an earlier run to go on with; None makes a new one.

    Returns:
      The exit status, the same on all ranks: 0, or 128 + the signal that
      stopped the run.

    Raises:
      ValueError: Sizes do not fit, data is damaged.
      NonFiniteError: A loss or gradient is not finite.
    """
    with SignalWatch() as watch, contextlib.ExitStack() as stack:
        job = set_up(config, resume=resume)
        report = None
        if job.world.rank == 0:
            report = stack.enter_context(_reporter(job))
            tell_state(job.folder, job.first, None)
            for line in opening(job):
                report.say(line)
        watch.on_signal(job.engine.ask_to_stop)
        validation, stopped = _loop(job, report)
        watch.loop_ended()
        status = watch.agree(job.world) if stopped else 0
        if not stopped:
            _close(job, report, validation)
        # Nobody leaves, or starts another run, before rank 0 has written all.
        stack.close()
        job.world.barrier()
        if report:
            tell_state(job.folder, job.engine.steps_done, status)
    return status


def _reporter(job: Job) -> Reporter:
    return Reporter(
        job.folder,
        steps=job.config.train.steps,
        first=job.first,
        log_every=job.config.run.log_every,
    )


def _loop(
    job: Job, report: Reporter | None
) -> tuple[ValidationMetrics | None, bool]:
    """Runs the steps that are left.

    Returns:
      The last validation, and whether a rank has asked to stop. Either way all
      ranks have done the same steps.
    """
    plan = job.config.train
    collect = Collector(job, report)
    validation = None
    for step in range(job.first + 1, plan.steps + 1):
        job.engine.submit(job.train.next(job.engine.device))
        collect.but(job.lag)
        last = step == plan.steps
        validates = last or _due(step, plan.validate_every)
        saves = _due(step, plan.save_every)
        if validates or saves:
            collect.but(0)
        if collect.asked_to_stop:
            break
        if validates:
            validation = _validate(job, step)
            if report and validation:
                report.validation(validation)
            collect.restart()
        if saves:
            save(job)
            collect.restart()
    collect.but(0)
    return validation, collect.asked_to_stop


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _validate(job: Job, step: int) -> ValidationMetrics | None:
    """Measures the same batches each time; collective."""
    if job.validation is None:
        return None
    job.validation.seek(0)
    batches = job.config.train.validation_batches
    losses = [
        job.engine.evaluate(job.validation.next(job.engine.device))
        for _ in range(batches)
    ]
    loss = sum(losses) / batches
    return ValidationMetrics(
        step, loss, bits_per_byte(loss, job.bytes_per_token)
    )


def _close(
    job: Job, report: Reporter | None, validation: ValidationMetrics | None
) -> None:
    """Exports the model and tells the result; collective."""
    # Steps have left memory of sizes that nothing below asks for.
    job.engine.device.trim_memory()
    sample = continuation(job)
    parameters = job.engine.gather(copy=False)
    if report is None:
        return
    export_model(job.folder.model, job.config, parameters, job.tokenizer)
    report.summary(summary(job, validation))
    report.say(sample)
    report.say(spell(shares(read_lines(job.folder.metrics))))
    report.say(f"run folder: {job.folder.path}")
