"""`eisbach train`: trains a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eisbach.cli.arguments import ConfigArguments, MisuseError, load, split


def command(
    arguments: ConfigArguments = None,
    *,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Go on with the newest checkpoint of this run folder, or "
            "with the one given as RUN/checkpoints/step-N, by the run's own "
            "configuration; keys that are changed are kept there.",
        ),
    ] = None,
    auto_resume: Annotated[
        bool,
        typer.Option(
            "--auto-resume",
            help="Go on with the newest checkpoint of the last run of this "
            "name in run.dir, or start where there is none: the same command "
            "may be given again and again, as by a scheduler. A damaged "
            "checkpoint is put aside, and the one before it taken.",
        ),
    ] = False,
) -> None:
    """Train a model, on one rank or under `mpirun`.

    Examples:

    * `eisbach train configs/tiny.yaml`

    * `mpirun -n 8 eisbach train configs/gpt_bytes.yaml parallel.tensor=2 parallel.pipeline=2`

    * `eisbach train --resume runs/gpt_bytes train.steps=2000`

    * `eisbach train configs/gpt_bytes.yaml --auto-resume`
    """  # noqa: D412, E501
    from eisbach.config import load_config, resolve
    from eisbach.run.folder import RunFolder
    from eisbach.run.process import launcher_rank
    from eisbach.training import train

    folder = None
    if resume and auto_resume:
        raise MisuseError(
            f"--resume {resume} names a run, and --auto-resume looks for one: "
            "give one of them"
        )
    if resume:
        file, overrides = split(arguments)
        if file:
            raise MisuseError(
                f"--resume takes the configuration of {resume}: leave "
                f"{file} out"
            )
        folder = RunFolder.open(resume)
        if launcher_rank() == 0:
            folder.hold()
        config = resolve(load_config(folder.config, overrides))
    else:
        _, config = load(arguments, command="train")
    with config.located():
        status = train(config, resume=folder, auto_resume=auto_resume)
    end_with(status)


def end_with(status: int) -> None:
    """Ends the job and, where the status is not 0, the process; collective.

    Args:
      status: The same on all ranks.
    """
    from eisbach.run.end_file import tell_end
    from eisbach.world import leave

    leave()
    tell_end(status)
    if status:
        raise typer.Exit(status)
