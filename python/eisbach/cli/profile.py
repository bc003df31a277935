"""`eisbach profile`: where the time of training steps goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eisbach.cli.arguments import ConfigArguments, load


def command(
    arguments: ConfigArguments = None,
    *,
    steps: Annotated[int, typer.Option(help="Steps to trace, 1 or more.")] = 5,
    warmup: Annotated[
        int, typer.Option(help="Steps before them that are not traced.")
    ] = 2,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder to make; the run folder and `-profile` unless given. "
            "One that exists is left alone and `FOLDER-2` is made.",
        ),
    ] = None,
) -> None:
    """Trace a few training steps, on one rank or under `mpirun`.

    Prints which ops and collectives the time goes to, and how close they come
    to what this machine can do, which is measured first. Writes `trace.json`,
    all ranks on one time line, for ui.perfetto.dev or chrome://tracing.

    Examples:

    * `eisbach profile configs/gpt_bytes.yaml`

    * `mpirun -n 2 eisbach profile configs/gpt_bytes.yaml parallel.pipeline=2 --steps 3`
    """  # noqa: D412, E501
    from eisbach.cli.train import end_with
    from eisbach.profiling import ProfilePlan, in_folder, profile

    _, config = load(arguments, command="profile")
    config = in_folder(config, output)
    with config.located():
        status = profile(config, ProfilePlan(steps=steps, warmup=warmup))
    end_with(status)
