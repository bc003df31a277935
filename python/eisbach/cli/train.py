"""`eisbach train`: trains a model."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from eisbach.cli.arguments import ConfigArguments, MisuseError, load, split

if TYPE_CHECKING:
    from eisbach.config import Config
    from eisbach.run.folder import RunFolder


def command(
    arguments: ConfigArguments = None,
    *,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Go on with the newest checkpoint of this run folder, or "
            "with the one given as RUN@STEP, by the run's own configuration; "
            "keys that are changed are kept there.",
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN[@STEP]",
            help="Start a new run with weights, optimizer and place in the "
            "data of another run's newest checkpoint, or that of STEP, which "
            "stays as it is. Keys may differ, but for those that the losses "
            "so far depend on; without CONFIG they are those of RUN.",
        ),
    ] = None,
    auto_resume: Annotated[
        bool,
        typer.Option(
            "--auto-resume",
            help="Go on with the newest checkpoint of the last run of this "
            "name in run.dir, or start where there is none: the same command "
            "may be given again and again, as by a scheduler. A damaged "
            "checkpoint is put aside, and the one before it taken. With --from "
            "the first start forks, and later ones go on with the fork.",
        ),
    ] = False,
) -> None:
    """Train a model, on one rank or under `mpirun`.

    Examples:

    * `eisbach train configs/tiny.yaml`

    * `mpirun -n 8 eisbach train configs/gpt_bytes.yaml parallel.tensor=2 parallel.pipeline=2`

    * `eisbach train --resume runs/gpt_bytes train.steps=2000`

    * `eisbach train configs/gpt_bytes.yaml --auto-resume`

    * `eisbach train --from runs/gpt_bytes@200 optimizer.lr=1e-4 run.name=slower`
    """  # noqa: D412, E501
    from eisbach.run.folder import RunFolder
    from eisbach.run.handlers import ignore_afterwards
    from eisbach.run.process import launcher_rank
    from eisbach.training import train

    folder = parent = None
    if resume and from_:
        raise MisuseError(
            f"--resume {resume} goes on with a run, and --from {from_} starts "
            "a new one: give one of them"
        )
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
        config = _of_run(folder, overrides)
    elif from_ and not split(arguments)[0]:
        parent = RunFolder.open(from_)
        _, overrides = split(arguments)
        config = _of_run(parent, overrides)
    else:
        # Once a fork is there its parent may be gone.
        parent = RunFolder.named(from_) if from_ else None
        _, config = load(arguments, command="train")
    ignore_afterwards(signal.SIGUSR1)  # others ask to be quick, there as well
    with config.located():
        status = train(
            config, resume=folder, parent=parent, auto_resume=auto_resume
        )
    end_with(status)


def _of_run(folder: RunFolder, overrides: list[str]) -> Config:
    """That of a run whose weights are in its checkpoint by now.

    But for the model that adapters change.
    """
    from eisbach.config import load_config, resolve

    config = load_config(folder.config, overrides)
    key = "adapter.from" if config.adapter.rank else "model.from"
    return resolve(config.derive(key, "none", str(folder.path)))


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
