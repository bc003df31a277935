"""`eisbach launch`: mpirun whose end can be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eisbach.run.launch import GRACE

CONTEXT = {"allow_interspersed_args": False, "ignore_unknown_options": True}


def command(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="MPIRUN ...",
            help="The launcher and its arguments, a command of eisbach last.",
        ),
    ],
    *,
    end_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What rank 0 writes last and this command reads, for hosts "
            "that do not share the current folder.",
        ),
    ] = None,
    grace: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Seconds in which all ranks must have stopped and saved from "
            "SIGINT, SIGTERM or SIGHUP on.",
        ),
    ] = GRACE,
) -> None:
    """Run `mpirun`, stop its ranks in time, and tell how the job ended.

    Ctrl-C, SIGTERM and SIGHUP let all ranks stop after the same step, if that
    and its checkpoint take no more than `--grace`. SIGUSR1 does so without a
    limit. The exit status is 75 where SIGTERM or SIGUSR1 stopped it and nothing
    is lost, else 128 + the signal. A job that lost a host never ends with 0.

    Examples:

    * `eisbach launch mpirun -n 8 eisbach train configs/gpt_bytes.yaml`

    * `eisbach launch mpirun --host a:8,b:8 -n 16 eisbach train --resume runs/gpt_bytes`
    """  # noqa: D412, E501
    from eisbach.run.descendants import adopt_orphans, kill_children
    from eisbach.run.handlers import ignore_afterwards
    from eisbach.run.launch import SIGNALS, launch

    ignore_afterwards(*SIGNALS)
    # A killed launcher leaves ranks, and logins to hosts that are lost.
    adopt_orphans()
    try:
        status = launch(command, end_file=end_file, grace=grace)
    finally:
        kill_children()
    raise typer.Exit(status)
