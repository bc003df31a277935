"""What a command of eisbach ends with, all in one place.

Whoever starts jobs reads these: `eisbach run`, a scheduler, a script. The table
of docs/launch.md says the same in words.
"""

from __future__ import annotations

import signal

DONE = 0
# The cause is on stderr; a new start may meet it again.
ERROR = 1
# The command line means nothing: a new start would end the same way.
USAGE = 2
# Stopped in time by a scheduler or by the run's own limit, with a checkpoint:
# to be started again. EX_TEMPFAIL of <sysexits.h>: "try again later".
REQUEUE = 75
# The watch of the core (csrc/watch) has ended a job that hung.
HANG = 76
# `eisbach run` gave up: new starts brought no progress. NVIDIA's resiliency
# extension (nvidia-resiliency-ext) ends with the same number for that.
DO_NOT_REQUEUE = 93

# By them a scheduler ends a job that it may start again; SIGALRM is that of
# run.hours. By others a person does, who wants it to stay ended.
REQUEUING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM)


def killed_by(number: int) -> int:
    """What a shell shows of a process that a signal ended."""
    return 128 + number


def stopped_by(number: int) -> int:
    """The status of a run that a signal stopped, nothing lost; 0 is none."""
    if not number:
        return DONE
    return REQUEUE if number in REQUEUING else killed_by(number)


def is_final(status: int) -> bool:
    """Whether a job that ended so is not to be started again at once.

    It is done, was stopped on purpose, or would end the same way again.
    """
    return status in (
        DONE,
        USAGE,
        REQUEUE,
        DO_NOT_REQUEUE,
        killed_by(signal.SIGINT),
        killed_by(signal.SIGHUP),
    )
