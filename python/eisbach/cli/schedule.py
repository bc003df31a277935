"""`eisbach schedule`: a pipeline schedule, listed and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    name: Annotated[
        str,
        typer.Argument(
            help="`gpipe`, `1f1b`, `interleaved`, `zero_bubble`, `zb_v` or "
            "`dual_pipe_v`."
        ),
    ],
    *,
    stages: Annotated[int, typer.Option(min=1, help="Stages.")] = 4,
    chunks: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Parts of the model that a stage holds; without it the "
            "fewest that the schedule runs.",
        ),
    ] = None,
    micro_batches: Annotated[
        int, typer.Option(min=1, help="Micro-batches of a step.")
    ] = 8,
    forward: Annotated[
        float,
        typer.Option(
            min=0, help="Time of a micro-batch's forward on a whole stage."
        ),
    ] = 1.0,
    backward_input: Annotated[
        float,
        typer.Option(min=0, help="Time of the input half of its backward."),
    ] = 1.0,
    backward_weight: Annotated[
        float,
        typer.Option(min=0, help="Time of the weight half."),
    ] = 1.0,
    transfer: Annotated[
        float,
        typer.Option(min=0, help="Time of a transfer between two stages."),
    ] = 0.0,
    output: Annotated[
        Path | None,
        typer.Option(help="A picture to write, a `.png`."),
    ] = None,
) -> None:
    """Print a pipeline schedule, and draw it.

    It is run on the given times, without a model or ranks: the lists of
    actions of each stage, the share of time that stages are idle, and how many
    activations each holds at the most.

    Examples:

    * `eisbach schedule 1f1b`

    * `eisbach schedule zero_bubble --stages 8 --chunks 2 --micro-batches 16 --output zero_bubble.png`
    """  # noqa: D412, E501
    from eisbach import _C
    from eisbach.cli import output_file
    from eisbach.scheduling import Drawing, draw, lines

    if output:
        output_file.check("--output", output, ".png")
    drawing = Drawing(
        name,
        micro_batches,
        _C.simulate_schedule(
            name,
            stages=stages,
            chunks=chunks,
            microbatches=micro_batches,
            forward=forward,
            backward_input=backward_input,
            backward_weight=backward_weight,
            transfer=transfer,
        ),
    )
    print("\n".join(lines(drawing)))
    if output:
        with output_file.written("--output", output):
            draw(output, drawing)
        print(f"picture: {output}")
