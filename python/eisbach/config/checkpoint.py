"""Section `checkpoint`: when one is written, how, and which stay."""

from typing import Literal

from eisbach.config.section import Natural, NonNegative, Section, key

ASYNCHRONOUS = {"checkpoint.asynchronous": True}


class CheckpointSection(Section):
    """When checkpoints are written, how, and which stay."""

    every_steps: Natural = key(
        0,
        "Steps between two checkpoints; 0 for none by steps. There is one at "
        "the end, and when the run is told to stop.",
        known_as="save_every save_steps save_interval interval",
    )
    every_minutes: NonNegative = key(
        15.0,
        "Minutes between two checkpoints; 0 for none by time.",
        known_as="save_minutes",
    )
    keep: Natural = key(
        3,
        "Newest checkpoints that stay; older ones are deleted when a new one "
        "is complete. 0 keeps all.",
        known_as="save_total_limit keep_latest_k",
    )
    keep_every: Natural = key(
        0,
        "Checkpoints of steps that are a multiple of this stay as well; 0 "
        "for none.",
    )
    keep_best: Natural = key(
        0,
        "So many checkpoints with the lowest validation loss stay as well; "
        "those of steps that were validated count.",
    )
    asynchronous: bool = key(
        True,
        "Copy the state into memory set aside for it and write from there "
        "while training goes on; `false` trains on when all is on the disk, "
        "and needs no such memory.",
        known_as="async_save async_mode",
    )
    when_busy: Literal["wait", "skip"] = key(
        "wait",
        "What a checkpoint does that is due while the one before is still "
        "being written: `wait` for it, or `skip` this one.",
        only=ASYNCHRONOUS,
    )
    max_mib_per_second: NonNegative = key(
        0.0,
        "Most that each rank writes behind training, for disks and networks "
        "that others need too; 0 for no limit.",
        only=ASYNCHRONOUS,
    )
    on_error: Literal["continue", "stop"] = key(
        "continue",
        "What a run does when a checkpoint cannot be written: `continue` with "
        "a warning and try again when the next is due, or `stop`.",
    )
