"""The subcommands and their help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
import typer.main

from eisbach.cli import (
    chat,
    checkpoint,
    config,
    data,
    doctor,
    estimate,
    eval,
    export,
    follow,
    import_,
    launch,
    plan,
    profile,
    run,
    runs,
    sample,
    schedule,
    sweep,
    train,
)
from eisbach.cli.arguments import KeyedCommand

app = typer.Typer(
    name="eisbach",
    help="Trains transformer models with data, tensor and pipeline "
    "parallelism from one YAML file.",
    epilog="Start with `eisbach train configs/gpt_bytes.yaml`, alone or "
    "under `mpirun -n 2`; `eisbach doctor` says what is missing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("train", cls=KeyedCommand)(train.command)
app.command("launch", context_settings=launch.CONTEXT)(launch.command)
app.command("run", context_settings=run.CONTEXT)(run.command)
app.command("sample")(sample.command)
app.command("chat")(chat.command)
app.command("eval")(eval.command)
app.command("export")(export.command)
app.command("import")(import_.command)
app.command("profile", cls=KeyedCommand)(profile.command)
app.command("config", cls=KeyedCommand)(config.command)
app.command("estimate", cls=KeyedCommand)(estimate.command)
app.command("plan", cls=KeyedCommand)(plan.command)
app.command("schedule")(schedule.command)
app.add_typer(checkpoint.app, name="checkpoint")
app.add_typer(data.app, name="data")
app.command("sweep", cls=KeyedCommand)(sweep.command)
app.command("runs")(runs.command)
app.command("follow")(follow.command)
app.command("doctor")(doctor.command)


def _print_version(wanted: bool) -> None:
    if wanted:
        import eisbach

        print(f"eisbach {eisbach.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str]) -> Any:
    """Runs a command line.

    As `app(standalone_mode=False)`, which would make of an interrupt a status
    that a command may have as well.

    Args:
      arguments: Without the name of the program.

    Returns:
      The exit status.
    """
    command = typer.main.get_command(app)
    try:
        with command.make_context("eisbach", list(arguments)) as context:
            return command.invoke(context)
    except typer.Exit as left:
        return left.exit_code
