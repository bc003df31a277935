"""`eisbach runs`: a table of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[
        Path, typer.Argument(help="Folder of run folders, or a run folder.")
    ] = Path("runs"),
    others: Annotated[
        list[Path] | None, typer.Argument(help="More of them.")
    ] = None,
    *,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png", help="Draw the loss curves over one another."
        ),
    ] = None,
) -> None:
    """Print runs as a table: how far, how good, how quick, what differs.

    `loss` is of the last step, `valid.` and `bits/B` (bits per byte of text)
    of the last validation, `tokens/s` the median of the last steps. Below each
    run are its values of the keys in which the runs differ.

    Examples:

    * `eisbach runs`

    * `eisbach runs runs/a runs/b --plot a-and-b.png`
    """  # noqa: D412
    from eisbach.cli import output_file
    from eisbach.run.comparison import find_runs, read_run, table
    from eisbach.run.folder import has_config

    if plot:
        output_file.check("--plot", plot, ".png")
    paths: list[Path] = []
    for path in (folder, *(others or ())):
        one = has_config(path)
        paths += [path] if one else find_runs(path)
    runs = [read_run(path) for path in paths]
    print("\n".join(table(runs)))
    if plot and runs:
        from eisbach.run.curves import plot_runs

        with output_file.written("--plot", plot):
            plot_runs(plot, runs)
        print(f"curves: {plot}")
