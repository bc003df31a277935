"""`eisbach plan`: which layout, and what it takes, before it is rented."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from eisbach.cli.arguments import ConfigArguments, load

# Of Germany in 2024, by the Umweltbundesamt's figures (2025).
GERMAN_GRID = 363.0


class Products(enum.Enum):
    """The type in which linear layers multiply."""

    AS_IS = "as_is"
    F8 = "f8"
    F4 = "f4"


def command(
    arguments: ConfigArguments = None,
    *,
    hardware: Annotated[
        str,
        typer.Option(
            help="A machine by its name, or a file that describes it."
        ),
    ],
    gpus: Annotated[
        int, typer.Option("--gpus", min=1, help="How many devices there are.")
    ],
    products: Annotated[
        Products,
        typer.Option(
            help="What linear layers multiply in; `f8` and `f4` are modelled "
            "and not yet in the runtime."
        ),
    ] = Products.AS_IS,
    grid: Annotated[
        float,
        typer.Option(min=0, help="Grams of CO2 that the grid emits for a kWh."),
    ] = GERMAN_GRID,
    rows: Annotated[int, typer.Option(min=1, help="Layouts to print.")] = 10,
) -> None:
    """Find the layouts of a job that fit a machine, and what a step takes.

    The program itself runs on a device that allocates and computes nothing;
    what it is given is played on a description of the machine. Keys of the
    layout on the command line stay as they are; the rest is chosen.

    Examples:

    * `eisbach plan configs/llama3_405b.yaml --hardware gb200-nvl72 --gpus 10000`

    * `eisbach plan configs/llama3_405b.yaml parallel.tensor=8 --hardware dgx-h100 --gpus 1024`
    """  # noqa: D412, E501
    from eisbach.hardware import read_hardware
    from eisbach.planning import make_plan, table

    _, config = load(arguments, command="plan")
    file = read_hardware(hardware)
    with config.located():
        plan = make_plan(
            config, file, gpus, products=products.value, grid=grid / 1000
        )
        print("\n".join(table(plan, rows=rows)))
