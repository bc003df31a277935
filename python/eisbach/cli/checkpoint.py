"""`eisbach checkpoint`: looks at checkpoints, takes them out and in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from eisbach.cli import export
from eisbach.cli.arguments import KeyedCommand

app = typer.Typer(
    help="Look at checkpoints, export and import them. RUN is a run folder, a "
    "folder of checkpoints, one step's folder, or RUN@STEP; where one "
    "checkpoint is meant it is the newest of a run. No ranks are needed, and "
    "the run may go on meanwhile.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.command("export")(export.command)

_Json = Annotated[
    bool, typer.Option("--json", help="Print JSON, for programs.")
]
_Path = Annotated[
    str, typer.Argument(metavar="RUN", help="Run, checkpoint, or RUN@STEP.")
]


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


@app.command("ls")
def ls(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs.")],
    *,
    as_json: _Json = False,
) -> None:
    """List the checkpoints of a run, those that are being written too.

    `layout` is p(ipeline), d(ata) and t(ensor) ranks when it was written;
    `valid.` the validation loss after that step. `unfinished` and `deleted`
    ones were left by a process that was cut off; the next save removes them.
    A checkpoint is `damaged` where its manifest or a file's size is wrong, or
    where a resume has put it aside: `verify` reads the weights as well.

    Examples:

    * `eisbach checkpoint ls runs/gpt_bytes`

    * `eisbach checkpoint ls runs/gpt_bytes --json`
    """  # noqa: D412
    from eisbach.checkpoint.listing import listed, table
    from eisbach.run.place import locate

    rows = {run: listed(locate(run)) for run in runs}
    if as_json:
        _print_json([row.as_json() for found in rows.values() for row in found])
        return
    for run, found in rows.items():
        if len(rows) > 1:
            print(f"{run}:")
        _print(table(found))


@app.command("show")
def show(
    run: _Path,
    *,
    tensors: Annotated[
        bool,
        typer.Option("--tensors", help="List the logical tensors as well."),
    ] = False,
    as_json: _Json = False,
) -> None:
    """Show a checkpoint: step, layout, configuration, sampler, files.

    With --tensors each logical tensor and its optimizer state: type, shape,
    and in how many boxes it lies where that is not one.

    Examples:

    * `eisbach checkpoint show runs/gpt_bytes`

    * `eisbach checkpoint show runs/gpt_bytes@200 --tensors`
    """  # noqa: D412
    from eisbach.checkpoint.showing import described, shown
    from eisbach.run.place import locate

    _, path = locate(run).one()
    if as_json:
        _print_json(described(path, tensors=tensors))
    else:
        _print(shown(path, tensors=tensors))


@app.command("verify")
def verify(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Runs, of which all are read, or checkpoints.",
        ),
    ],
    *,
    as_json: _Json = False,
) -> None:
    """Read checkpoints whole and check everything about them.

    Size, hash and values (no NaN, no infinity) of each file, the manifest's
    own hash, the folder's name, that each logical tensor is there exactly
    once, and that no file is there that does not belong. Says all that is
    wrong by file and tensor, and exits with 1 if anything is.

    Examples:

    * `eisbach checkpoint verify runs/gpt_bytes`

    * `eisbach checkpoint verify runs/*/checkpoints/step-*`
    """  # noqa: D412
    from eisbach.checkpoint.verifying import verified
    from eisbach.run.place import locate

    paths = [path for run in runs for path in locate(run).all().values()]
    results = verified(paths)
    if as_json:
        _print_json([result.as_json() for result in results])
    else:
        _print(line for result in results for line in result.lines())
    if any(result.found.faults for result in results):
        raise typer.Exit(1)


@app.command("diff")
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="As of `show`.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    *,
    as_json: _Json = False,
) -> None:
    """Compare two checkpoints, whatever layouts they were written on.

    Told are the keys of the manifests that differ, and each logical tensor
    that does: how many elements are not the same bits, the largest difference,
    also in proportion to the larger value. Exits with 1 where a tensor differs.

    Examples:

    * `eisbach checkpoint diff runs/a runs/b`

    * `eisbach checkpoint diff runs/a@200 runs/a@400`
    """  # noqa: D412
    from eisbach.checkpoint.comparing import compare, told
    from eisbach.run.place import locate

    found = compare(locate(a).one()[1], locate(b).one()[1])
    if as_json:
        _print_json(found.as_json())
    else:
        _print(told(found))
    if found.changes:
        raise typer.Exit(1)


@app.command("import", cls=KeyedCommand)
def import_(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="With `config.json` and `model.safetensors`, such as "
            "`eisbach export` writes: of the kinds gpt2 and llama.",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SECTION.KEY=VALUE]...", help="Keys that differ from it."
        ),
    ] = None,
    *,
    config: Annotated[
        Path,
        typer.Option(
            metavar="CONFIG",
            help="Of the training that is to begin with these weights; what "
            "the folder says of the model may be left out.",
        ),
    ],
    output: Annotated[
        Path, typer.Option(metavar="RUN", help="Run folder to make.")
    ],
) -> None:
    """Make a run whose checkpoint of step 0 holds the weights of a model.

    `eisbach train --resume RUN` trains it, and `eisbach train CONFIG --from
    RUN` begins any number of runs with it. Of a model that does not fit one
    process it runs under `mpirun`.

    Examples:

    * `eisbach checkpoint import llama/ --config configs/tune.yaml --output runs/base`
    """  # noqa: D412, E501
    from eisbach.checkpoint.importing import import_model
    from eisbach.cli.arguments import load
    from eisbach.cli.train import end_with

    _, loaded = load([str(config), *(overrides or ())], command="train")
    with loaded.located():
        job = import_model(folder, loaded, output)
    if job.world.rank == 0:
        print(
            f"{output}: step 0 with the {job.engine.config.model.parameters:,} "
            f"parameters of {folder}; go on with: eisbach train --resume "
            f"{output}"
        )
    end_with(0)
