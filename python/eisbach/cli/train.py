"""`eisbach train`: trains a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eisbach.cli.config import ConfigArgument, OverridesArgument, split


def command(
    config: ConfigArgument = None,
    overrides: OverridesArgument = None,
    *,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Go on with the newest checkpoint of this run folder, by its "
            "own configuration.",
        ),
    ] = None,
) -> None:
    """Train a model, on one rank or under `mpirun`.

    Examples:

    * `eisbach train configs/tiny.yaml`

    * `mpirun -n 8 eisbach train configs/gpt_bytes.yaml parallel.tensor=2 parallel.pipeline=2`

    * `eisbach train --resume runs/gpt_bytes`
    """  # noqa: D412, E501
    from eisbach.config import load_config, resolve
    from eisbach.run.folder import RunFolder
    from eisbach.training import train

    config, overrides = split(config, overrides)
    folder = None
    if resume:
        if config:
            raise ValueError(
                f"--resume takes the configuration of {resume}: leave "
                f"{config} out"
            )
        folder = RunFolder.open(resume)
        config = folder.config
    loaded = resolve(load_config(config, overrides), file=config)
    try:
        status = train(loaded, resume=folder)
    except ValueError as error:
        raise ValueError(loaded.locate(str(error))) from error
    end_with(status)


def end_with(status: int) -> None:
    """Ends the job and, where the status is not 0, the process; collective.

    Args:
      status: The same on all ranks.
    """
    from eisbach.run.state import tell_end
    from eisbach.world import leave

    leave()
    tell_end(status)
    if status:
        raise typer.Exit(status)
