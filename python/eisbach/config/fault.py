"""Section `fault`: what a run does where something goes wrong."""

from eisbach.config.section import Auto, NonNegative, Section, key


class FaultSection(Section):
    """What a run does where something goes wrong."""

    hang_seconds: Auto | NonNegative = key(
        "auto",
        "Seconds without progress of any rank after which a job of several "
        "ranks tells who is late, and ends; 0 for never. The first step, "
        "validation and checkpoints may take ten times as long, and at least "
        "ten minutes. `auto`: 60 on the CPU, 300 on GPUs.",
    )
