"""Section `fault`: what a run does where something goes wrong."""

from typing import Annotated, Literal

from pydantic import Field

from eisbach.config.section import (
    Auto,
    Count,
    Natural,
    NonNegative,
    Section,
    key,
)

# The core's ops/spike_rule.h has the same bounds.
SpikeWindow = Annotated[int, Field(ge=4, le=256)]


class FaultSection(Section):
    """What a run does where something goes wrong."""

    hang_seconds: Auto | NonNegative = key(
        "auto",
        "Seconds without progress of any rank after which a job of several "
        "ranks tells who is late, and ends; 0 for never. The first step, "
        "validation and checkpoints may take ten times as long, and at least "
        "ten minutes. `auto`: 60 on the CPU, 300 on GPUs.",
    )
    on_spike: Literal["stop", "skip", "rerun"] = key(
        "stop",
        "What is done with a step whose loss or gradient norm is not finite, "
        "or a spike, before it changes a weight: `stop` ends the run, `skip` "
        "makes no update and goes on, `rerun` computes it once more, which "
        "tells a fault of the machine, and skips it where that gives the same "
        "bits.",
    )
    spike_deviations: Auto | NonNegative = key(
        "auto",
        "A loss or gradient norm is a spike when it is so many deviations "
        "above the median of the last good steps; 0: only what is not finite "
        "is bad. A deviation is 1.48 times the median distance from the "
        "median, and at least 1 % of a loss (and 0.01), 25 % of a norm. "
        "`auto`: 20, and 0 where `fault.on_spike` is `stop`.",
    )
    spike_window: SpikeWindow = key(
        64,
        "Good steps that a step is compared with; before there are as many "
        "nothing is a spike.",
    )
    most_skips: Count = key(
        3,
        "Steps in a row that may be skipped; one more ends the run.",
    )
    hash_every: Natural = key(
        100,
        "Steps after which ranks that hold the same weights and optimizer "
        "state compare their bits; 0 for never. Where they differ the run "
        "ends, and says who is wrong.",
    )
    straggler_steps: Auto | Natural = key(
        "auto",
        "Steps for which a rank of a job of several, or the link between two, "
        "must be slow to be named; 0 looks for none. `auto`: 50 on the CPU; 0 "
        "on GPUs, whose clock has not run on hardware yet.",
    )
    check_collectives: bool = key(
        False,
        "Whether ranks compare each collective call before its data moves: one "
        "that differs is an error that names both sides. Takes some "
        "microseconds a call; GPUs capture no CUDA graphs.",
    )
