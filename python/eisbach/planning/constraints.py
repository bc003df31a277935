"""What one more constraint would cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eisbach.planning import figures, words
from eisbach.planning.make import Plan

if TYPE_CHECKING:
    from eisbach import _C

_PARTS = {"half": ("Half of them", 2), "quarter": ("A quarter of them", 4)}


@dataclass(frozen=True)
class Constraint:
    """One more constraint on the best layout.

    Attributes:
      kind: `half`, `quarter`, `power_cap` or `deadline`.
      devices: How many there may be then; of a deadline, how many there have
        to be.
      candidate: What is best then of the best layouts divided anew, so that a
        search may find better; of a power cap, what is best without it. None:
        nothing of that fits, or a cap limits nothing.
      says: That in a sentence.
    """

    kind: str
    devices: int
    candidate: _C.Candidate | None
    says: str


def constraints(plan: Plan) -> Iterator[Constraint]:
    """Those of every plan, and those that were asked for."""
    most = plan.best.layout.devices
    for kind, (name, part) in _PARTS.items():
        if most >= part:
            devices = most // part
            yield _fewer(plan, kind, name, devices)
    if plan.terms.power_cap is not None:
        yield _power_cap(plan)
    if plan.terms.deadline is not None:
        yield _deadline(plan)


def _fewer(plan: Plan, kind: str, name: str, devices: int) -> Constraint:
    head = f"{name} ({devices:,})"
    try:
        candidate = plan.on(devices)
    except ValueError as error:  # what is given needs more of them
        return Constraint(kind, devices, None, f"{head}: {error}.")
    if candidate is None:
        says = f"{head}: none of the best layouts fits when divided anew."
    else:
        says = f"{head}: at most {_beside(plan, candidate)}."
    return Constraint(kind, devices, candidate, says)


def _beside(plan: Plan, candidate: _C.Candidate) -> str:
    """Spells a layout beside the best."""
    best = plan.best
    longer = candidate.forecast.seconds / best.forecast.seconds
    return (
        f"{words.seconds(candidate.forecast.seconds)} s a step on "
        f"{words.layout(candidate.layout)}, {_as_long(longer)}, "
        f"{_run_beside(plan, candidate)}"
    )


def _run_beside(plan: Plan, candidate: _C.Candidate) -> str:
    """Spells the whole run of a layout beside that of the best."""
    mine = figures.whole_run(plan, candidate).value
    his = figures.whole_run(plan, plan.best).value
    if not mine.ends:
        return "and the run never ends"
    if not his.ends:
        return words.hours(mine.hours)
    more = mine.device_hours / his.device_hours - 1
    cost = "as many" if abs(more) < 0.005 else _percent(more)
    return f"{words.hours(mine.hours)}, {cost} device hours"


def _as_long(longer: float) -> str:
    alike = abs(longer - 1) < 0.005
    return "as long" if alike else f"{longer:.2f} times as long"


def _percent(more: float) -> str:
    return f"{abs(more):.0%} {'more' if more > 0 else 'fewer'}"


def _power_cap(plan: Plan) -> Constraint:
    cap, fed = plan.terms.power_cap, plan.fed
    head = (
        f"{cap:g} MW feed {fed:,} devices at full load "
        f"({plan.machine.busy_watts:,.0f} W each, x "
        f"{plan.machine.site_factor:g} for the site)"
    )
    if fed >= plan.devices:
        return Constraint(
            "power_cap",
            fed,
            None,
            f"{head}: all {plan.devices:,} that there are.",
        )
    candidate = plan.uncapped.fitting[0]
    says = (
        f"{head} of {plan.devices:,}; without the cap "
        f"{_beside(plan, candidate)}."
    )
    return Constraint("power_cap", fed, candidate, says)


def _deadline(plan: Plan) -> Constraint:
    candidate = plan.fewest()
    count = candidate.layout.devices
    limit = words.hours(plan.terms.deadline)
    if count >= plan.best.layout.devices:
        says = (
            f"In time ({limit}) on the {plan.best.layout.devices:,} of the "
            "first; on fewer none of the best layouts is when divided anew."
        )
    else:
        says = (
            f"In time ({limit}) on {count:,} already: "
            f"{_beside(plan, candidate)}."
        )
    return Constraint("deadline", count, candidate, f"{says} {_sure(plan)}")


def _sure(plan: Plan) -> str:
    """Says how sure it is that the first is in time."""
    run, limit = figures.whole_run(plan, plan.best), plan.terms.deadline
    foretold, slow = run.value.hours, run.high.hours
    if slow == foretold:
        return "Nobody knows how sure that is: the machine has no accuracy."
    end = f"At the slow end of its range the first takes {words.hours(slow)}"
    if slow <= limit:
        return f"{end}, which is in time as well."
    # The range of a run is in proportion to it.
    surely = math.floor(limit * foretold / slow * 100) / 100
    return (
        f"{end}, which is too late: a deadline is kept by the middle. What "
        f"keeps --deadline {surely:.2f}h keeps this one by all of its range."
    )
