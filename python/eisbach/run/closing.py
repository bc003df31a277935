"""What a run tells after its last step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from eisbach.run.folder import read_lines
from eisbach.run.foretold import spell_foretold
from eisbach.run.shown import Shown
from eisbach.run.times import shares, spell

if TYPE_CHECKING:
    from eisbach.job import Job


def closing(
    job: Job, sample: str | None, facts: dict[str, Any]
) -> Iterator[str]:
    """Yields lines: what the model says, where the time went, the folder.

    Args:
      job: At its end.
      sample: Text of the model; None where there is none.
      facts: Its summary.
    """
    if sample:
        yield sample
    if times := Shown("the shares of time")(_times, job):
        yield times
    if facts["foretold"]:
        yield spell_foretold(facts["foretold"])
    yield f"run folder: {job.folder.path}"


def _times(job: Job) -> str:
    return spell(shares(read_lines(job.folder.metrics)))
