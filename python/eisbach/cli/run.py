"""`eisbach run`: a training job that is started again after a fault."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from eisbach.cli.arguments import MisuseError
from eisbach.cli.launch import CONTEXT as CONTEXT
from eisbach.run.launch import GRACE


def command(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="[--] MPIRUN ...",
            help="The launcher and its arguments, `eisbach train ...` last; "
            "or `eisbach train ...` alone. `--auto-resume` is added.",
        ),
    ],
    *,
    restarts: Annotated[
        int,
        typer.Option(min=0, help="How often it may be started again."),
    ] = 10,
    grace: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Seconds in which all ranks must have stopped and saved from "
            "SIGINT, SIGTERM or SIGHUP on: what the scheduler leaves, less a "
            "few.",
        ),
    ] = GRACE,
    end_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What rank 0 writes and this command reads, for hosts that "
            "do not share the current folder.",
        ),
    ] = None,
) -> None:
    """Train, and start again from the last checkpoint after a fault.

    A fault is a rank that is killed, a lost host, an error: each is told in a
    line. What a new start would not mend ends the run: a command line or
    configuration that does not fit, and three faults in a row without a newer
    checkpoint (status 93). SIGTERM and SIGUSR1 are passed on, and the status
    is 75 where all ranks have saved: the same command goes on from there.

    Examples:

    * `eisbach run --restarts 20 -- mpirun -n 8 eisbach train configs/gpt_bytes.yaml`

    * `eisbach run --grace 25 -- mpirun -n 16 --hostfile hosts eisbach train my.yaml`
    """  # noqa: D412, E501
    from eisbach.run.command import TrainCommand
    from eisbach.run.handlers import ignore_afterwards
    from eisbach.run.launch import SIGNALS
    from eisbach.run.supervise import supervise

    if int(os.environ.get("OMPI_COMM_WORLD_SIZE", "1")) > 1:
        raise MisuseError(
            "run starts all ranks again, and so goes around mpirun: `eisbach "
            "run -- mpirun -n 2 eisbach train FILE`"
        )
    try:
        TrainCommand(command)
    except ValueError as error:
        raise MisuseError(str(error)) from None
    ignore_afterwards(*SIGNALS)
    raise typer.Exit(
        supervise(command, restarts=restarts, grace=grace, end_file=end_file)
    )
