"""What a run tells before its first step."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from eisbach.run.reading import what_is_read
from eisbach.run.saving import what_a_stop_loses

if TYPE_CHECKING:
    from eisbach.config import Config
    from eisbach.job import Job


_COLUMNS = 80


def opening(job: Job) -> Iterator[str]:
    """Yields lines of at most 80 columns, but for paths and the hosts' table.

    They say what was derived and why, the model, the ranks.
    """
    for text in _told(job):
        for line in text.splitlines():
            if line.startswith(" "):  # of a table
                yield line
            else:
                yield from fold(line)


def fold(line: str) -> list[str]:
    """Breaks a line between words, so that no part is too wide."""
    return textwrap.wrap(
        line,
        _COLUMNS,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def derived(config: Config) -> Iterator[str]:
    """Says what follows from what, a line for each section and reason."""
    for section, keys in config.model_dump().items():
        by_reason: dict[str, list[str]] = {}
        for name, value in keys.items():
            what, _, reason = config.origin(f"{section}.{name}").partition(": ")
            if what == "derived":
                by_reason.setdefault(reason, []).append(f"{name}: {value}")
        for reason, told in by_reason.items():
            yield f"{section}.{', '.join(told)} ({reason})"


def _told(job: Job) -> Iterator[str]:
    from eisbach import _C

    config = job.config
    yield from derived(config)
    model = job.engine.config.model
    adapters = ""
    if model.adapter.rank:
        adapters = f", {model.trained_parameters:,} trained beside them"
    yield (
        f"{model.family}, {model.parameters:,} parameters{adapters}; a step is "
        f"{config.train.global_batch} x {model.context} tokens"
    )
    yield from what_is_read(job)
    if len({at.host for at in job.locations}) > 1:
        yield _C.rank_table(job.locations).rstrip()
    yield job.context.mesh.rank_map().rstrip()
    if crossing := _C.crossing_text(job.context.mesh, job.locations):
        yield crossing
    if job.engine.division:
        yield job.engine.division
    if job.engine.context_text:
        yield job.engine.context_text
    if job.engine.whole_tokens:
        yield job.engine.whole_tokens
    if job.network:
        yield job.network
    if job.first:
        yield f"goes on after step {job.first}"
    if origin := job.folder.parent:
        yield f"forked from {origin}"
    yield what_a_stop_loses(job)
    yield f"writes to {job.folder.path}"
