"""The numbers of a plan that every way to show it takes from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eisbach.planning import words
from eisbach.planning.make import Plan
from eisbach.planning.words import TIME

if TYPE_CHECKING:
    from eisbach import _C

# The European Commission presumes a model to be of general purpose above the
# first (guidelines of July 2025), and of systemic risk above the second
# (Regulation (EU) 2024/1689, article 51).
THRESHOLDS = {
    1e23: "a general-purpose model (1e23, EU AI Act)",
    1e25: "one of systemic risk (1e25, EU AI Act)",
}
# Steps of which nine in ten mean little.
_FEW = 10


@dataclass(frozen=True)
class Amount:
    """What is foretold, and from what to what nine of ten would be."""

    low: float
    value: float
    high: float

    def times(self, factor: float) -> Amount:
        """So many times each."""
        return Amount(
            self.low * factor, self.value * factor, self.high * factor
        )


@dataclass(frozen=True)
class Whole:
    """The whole run of a layout: as foretold, and at the ends of the range."""

    low: _C.RunCost
    value: _C.RunCost
    high: _C.RunCost

    def amount(self, name: str) -> Amount:
        """One of its figures, by the name of `RunCost`."""
        return Amount(
            *(getattr(one, name) for one in (self.low, self.value, self.high))
        )


def step(plan: Plan, candidate: _C.Candidate) -> Amount:
    """Seconds of a step."""
    from eisbach import _C

    foretold = candidate.forecast.seconds
    low, high = _C.step_range(foretold, plan.machine)
    return Amount(low, foretold, high)


def whole_run(plan: Plan, candidate: _C.Candidate) -> Whole:
    """What all steps of the configuration take."""
    from eisbach import _C

    each = step(plan, candidate)
    low, value, high = (
        _C.cost_of_run(
            candidate.forecast,
            plan.machine,
            plan.conditions,
            devices=candidate.layout.devices,
            seconds=seconds,
        )
        for seconds in (each.low, each.value, each.high)
    )
    return Whole(low, value, high)


def never_ends(plan: Plan, candidate: _C.Candidate) -> str | None:
    """Why the run of a layout never ends; None: it does."""
    from eisbach import _C

    cost = whole_run(plan, candidate).value
    if cost.ends:
        return None
    return _C.why_it_never_ends(cost, plan.conditions)


def spent(plan: Plan, candidate: _C.Candidate) -> dict[str, Amount]:
    """What the whole run takes, as far as that is known.

    Returns:
      `hours` and `device_hours`, of a run that ends; `megawatt_hours` and
      `co2_tonnes`, where the machine says what it draws; `eur`, where there is
      a price.
    """
    run = whole_run(plan, candidate)
    if not run.value.ends:
        return {}
    names = ["hours", "device_hours"]
    if plan.machine.busy_watts:
        names += ["megawatt_hours", "co2_tonnes"]
    found = {name: run.amount(name) for name in names}
    if plan.terms.price is not None:
        found["eur"] = found["device_hours"].times(plan.terms.price)
    return found


def of_peak(plan: Plan, candidate: _C.Candidate) -> float:
    """Of the devices' rated arithmetic, what the model needs (MFU)."""
    rate = plan.machine.peak.of(plan.config.precision.compute)
    return per_device(candidate) * plan.size.flops_per_token / rate


def per_device(candidate: _C.Candidate) -> float:
    """Tokens that one device trains in a second."""
    return candidate.forecast.tokens_per_second / candidate.layout.devices


def shares(candidate: _C.Candidate) -> dict[str, float]:
    """What the time of a step goes to (`TIME`), and how much of it."""
    forecast = candidate.forecast
    busy = forecast.busy
    found = {
        kind: getattr(busy, kind) / forecast.seconds
        for kind in TIME
        if kind != "stages"
    }
    return {**found, "stages": forecast.bubble}


def tokens(plan: Plan) -> int:
    """Of the whole run."""
    train = plan.config.train
    return train.steps * train.global_batch * plan.config.model.context


def training_flops(plan: Plan) -> float:
    """Floating-point operations of the run that the model needs."""
    return tokens(plan) * plan.size.flops_per_token


def crossed(plan: Plan) -> list[str]:
    """The marks that the run's operations are beyond."""
    flops = training_flops(plan)
    return [text for most, text in THRESHOLDS.items() if flops >= most]


def not_in_runtime(plan: Plan) -> list[str]:
    """What the plan reckons with and `eisbach train` does not have."""
    found = []
    if plan.experts.count:
        found.append(words.experts(plan.experts))
    if plan.terms.products != "as_is":
        found.append(f"linear layers that multiply in {plan.terms.products}")
    return found


def why_not(best: _C.Candidate, second: _C.Candidate) -> str:
    """What the runner-up loses by."""
    slower = second.forecast.seconds / best.forecast.seconds - 1
    mine, other = (
        {
            kind: share * one.forecast.seconds
            for kind, share in shares(one).items()
        }
        for one in (best, second)
    )
    kind = max(mine, key=lambda kind: other[kind] - mine[kind])
    more = other[kind] - mine[kind]
    if abs(slower) < 0.002:
        return "The second takes as long."
    if slower < 0:
        count = f"{second.layout.devices:,} devices"
        return f"The second takes {-slower:.1%} less time, on {count}."
    if more <= 0:
        return f"The second takes {slower:.1%} longer."
    return (
        f"The second takes {slower:.1%} longer: {more:.3g} s more of a step "
        f"for {TIME[kind]}."
    )


def basis(plan: Plan) -> str:
    """What the ranges rest on."""
    known = plan.machine.accuracy
    farther = (
        " Those were dense models: with experts forecasts were farther off."
        if plan.experts.count
        else ""
    )
    if known.cases >= _FEW:
        return (
            f"Of {known.cases:,} measured steps on such machines, nine of ten "
            f"were within {known.p90:.0%} of what was foretold, half within "
            f"{known.median:.1%}.{farther}"
        )
    if known.cases:
        return (
            f"Only {known.cases} measured steps on such machines were compared "
            f"with what was foretold; the farthest was {known.p90:.0%} off."
        )
    if known.p90:
        return (
            "No measured step on such a machine was compared with what is "
            f"foretold; on others nine of ten were within {known.p90:.0%}."
        )
    return (
        f"Nobody has compared what is foretold for {plan.file.name} with "
        "measured steps, so there is no range."
    )
