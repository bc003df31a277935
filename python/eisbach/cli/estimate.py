"""`eisbach estimate`: what a configuration takes."""

from __future__ import annotations

from typing import Annotated

import typer

from eisbach.cli.arguments import ConfigArguments, load


def command(
    arguments: ConfigArguments = None,
    *,
    ranks: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Ranks to estimate for; without it as many as the "
            "configuration needs at least.",
        ),
    ] = None,
) -> None:
    """Tell parameters and the memory of each rank, by what it holds.

    One step of the configuration runs on a device that allocates and computes
    nothing, so any size and any number of ranks can be asked of any machine.

    Examples:

    * `eisbach estimate configs/gpt_bytes.yaml`

    * `eisbach estimate configs/llama_bytes.yaml run.device=cuda model.layers=32 model.hidden=4096 parallel.tensor=8 --ranks 64`
    """  # noqa: D412, E501
    from eisbach.estimating import estimate, table
    from eisbach.fitting import fit, least_ranks

    _, config = load(arguments, command="estimate")
    with config.located():
        found = fit(config, ranks or least_ranks(config))
        print("\n".join(table(found, estimate(found))))
