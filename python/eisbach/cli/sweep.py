"""`eisbach sweep`: runs beside one another."""

from __future__ import annotations

from typing import Annotated

import typer

from eisbach.cli.arguments import ConfigArguments, MisuseError, split


def command(
    arguments: ConfigArguments = None,
    *,
    ranks: Annotated[
        int,
        typer.Option(min=1, help="Ranks of each run, started by `mpirun`."),
    ] = 1,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the runs and start none."),
    ] = False,
) -> None:
    """Train once for each combination of values, one run after the other.

    `key=a,b,c` takes three values in turn; several such keys are combined.
    All combinations are checked before the first run starts. At the end the
    runs are printed as by `eisbach runs`. A run that fails does not end the
    others; the exit status is then 1.

    Examples:

    * `eisbach sweep configs/tiny.yaml optimizer.lr=1e-3,3e-3 model.layers=2,4`

    * `eisbach sweep configs/gpt_bytes.yaml train.steps=100 "optimizer.betas=[0.9,0.95],[0.9,0.99]" --ranks 2`
    """  # noqa: D412, E501
    from eisbach.run.comparison import read_run, table
    from eisbach.run.process import launched
    from eisbach.sweeping import commands, plan, run

    if launched():
        raise MisuseError(
            "sweep starts the ranks of each run itself: without mpirun, "
            "`eisbach sweep ... --ranks N`"
        )
    file, keys = split(arguments)
    if not keys:
        raise MisuseError(
            "sweep needs keys with values: `eisbach sweep FILE "
            "optimizer.lr=1e-3,3e-3`"
        )
    trials = plan(file, keys, ranks)
    failed = stopped = 0
    started = []
    for i, (trial, words) in enumerate(
        zip(trials, commands(file, trials, ranks), strict=True), 1
    ):
        print(f"[{i}/{len(trials)}] {' '.join(trial.keys)}", flush=True)
        if dry_run:
            continue
        status = run(words)
        started.append(trial)
        failed += status != 0
        if status > 128:
            stopped = status
            break
    if dry_run:
        return
    runs = [
        read_run(trial.folder) for trial in started if trial.folder.exists()
    ]
    print("\n" + "\n".join(table(runs)))
    if stopped or failed:
        raise typer.Exit(stopped or 1)
