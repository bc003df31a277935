"""`eisbach plan`: which layout, and what it takes, before it is rented."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eisbach.cli.arguments import ConfigArguments, MisuseError, load
from eisbach.cli.option_names import options_named
from eisbach.cli.plan_options import (
    MOST_DEVICES,
    check_machine,
    check_mode,
    hours_of,
    number,
)

if TYPE_CHECKING:
    from eisbach.planning import ExpertTerms

# Terms of a plan, as the core names them.
TERMS = (
    "by",
    "deadline",
    "expert_hidden",
    "expert_parallel",
    "experts",
    "experts_per_token",
    "power_cap",
    "products",
    "shared_hidden",
)
# Of Germany in 2024, by the Umweltbundesamt's figures (2025).
GERMAN_GRID = 363.0


class Products(enum.Enum):
    """The type in which linear layers multiply."""

    AS_IS = "as_is"
    F8 = "f8"
    F4 = "f4"


class RankBy(enum.Enum):
    """What is least for the best layout."""

    TIME = "time"
    COST = "cost"
    ENERGY = "energy"


def expert_terms(
    count: int | None, per_token: int | None, **others: int | None
) -> ExpertTerms | None:
    """Reads what is said of experts.

    Raises:
      MisuseError: Something is said of none, or not how many a token takes.
    """
    from eisbach.planning import ExpertTerms

    given = {name: value for name, value in others.items() if value is not None}
    if count is None:
        if given or per_token is not None:
            raise MisuseError(
                "Missing option --experts: what is said of experts is said of "
                "so many in each layer"
            )
        return None
    if per_token is None:
        raise MisuseError(
            f"Missing option --experts-per-token: of {count} experts a token "
            "goes through some"
        )
    return ExpertTerms(count, per_token, **given)


def command(
    context: typer.Context,
    arguments: ConfigArguments = None,
    *,
    hardware: Annotated[
        str | None,
        typer.Option(
            help="A machine by its name, or a file that describes it."
        ),
    ] = None,
    gpus: Annotated[
        int | None,
        typer.Option(
            "--gpus",
            min=1,
            max=MOST_DEVICES,
            help="How many devices there are.",
        ),
    ] = None,
    by: Annotated[
        RankBy,
        typer.Option(
            help="What is least for the best layout: the time of a step, or "
            "device hours or energy of the whole run."
        ),
    ] = RankBy.TIME,
    products: Annotated[
        Products,
        typer.Option(
            help="What linear layers multiply in; `f8` and `f4` are modelled "
            "and not yet in the runtime."
        ),
    ] = Products.AS_IS,
    experts: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Experts of each layer, in place of its MLP: modelled, and "
            "not yet in the runtime.",
        ),
    ] = None,
    experts_per_token: Annotated[
        int | None, typer.Option(help="Of these, what a token goes through.")
    ] = None,
    expert_hidden: Annotated[
        int | None,
        typer.Option(help="Width of one, if not `model.ffn_hidden`."),
    ] = None,
    shared_hidden: Annotated[
        int | None,
        typer.Option(help="Width of what every token goes through as well."),
    ] = None,
    expert_parallel: Annotated[
        int | None,
        typer.Option(
            help="Ranks of a stage that divide a layer's experts, if not what "
            "is best."
        ),
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="In which the run has to end, as in `36h` or `90d`.",
        ),
    ] = None,
    power_cap: Annotated[
        float | None,
        number("MW that the site may draw at full load.", most=1e6),
    ] = None,
    price: Annotated[
        float | None, number("EUR for an hour of a device.", most=1e6)
    ] = None,
    grid: Annotated[
        float, number("Grams of CO2 that the grid emits for a kWh.", most=1e6)
    ] = GERMAN_GRID,
    mtbf: Annotated[
        float | None,
        number(
            "Hours of one device between failures that end the job, in place "
            "of the machine's; 0: none fail."
        ),
    ] = None,
    restart: Annotated[
        float, number("Seconds from a fault to the first step after it.")
    ] = 300.0,
    save_stall: Annotated[
        float, number("Seconds that training stands still for a checkpoint.")
    ] = 1.0,
    rows: Annotated[int, typer.Option(min=1, help="Layouts to print.")] = 10,
    json: Annotated[
        Path | None,
        typer.Option(
            help="A `.json` to write all of it to; `-`: standard output, "
            "without the table."
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="A `.html` to write: one page.")
    ] = None,
    timeline: Annotated[
        Path | None,
        typer.Option(help="A `.png` to draw a step of the first layout to."),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            help="A `.json` to write that step to, for ui.perfetto.dev."
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Measure this machine's CPU, and describe it as "
            "`this-machine`; plans nothing.",
        ),
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --calibrate: of each rank, 1 without it; with more the "
            "machine is called `this-machine-N-threads`.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="With --calibrate: the `.yaml` to write, instead of "
            "`~/.config/eisbach/hardware/this-machine.yaml`."
        ),
    ] = None,
) -> None:
    """Find the layouts of a job that fit a machine, and what a step takes.

    The program itself runs on a device that allocates and computes nothing;
    what it is given is played on a description of the machine. Keys of the
    layout on the command line stay as they are; the rest is chosen.

    Examples:

    * `eisbach plan configs/llama3_405b.yaml --hardware gb200-nvl72 --gpus 10000`

    * `eisbach plan configs/llama3_405b.yaml parallel.tensor=8 --hardware dgx-h100 --gpus 1024`

    * `eisbach plan configs/llama3_405b.yaml --hardware dgx-b200 --gpus 4096 --html plan.html --trace step.json`

    * `eisbach plan configs/llama3_405b.yaml --hardware gb200-nvl72 --gpus 4608 --by cost --price 3.5 --deadline 120d`

    * `eisbach plan configs/llama3_405b.yaml --hardware gb200-nvl72 --gpus 4608 --experts 16 --experts-per-token 2 --expert-hidden 16384`

    * `eisbach plan --calibrate`, then `eisbach plan configs/gpt_bytes.yaml --hardware this-machine --gpus 2`
    """  # noqa: D412, E501
    check_mode(context)
    if calibrate:
        _calibrate(output, threads or 1)
        return
    if not hardware or not gpus:
        missing = "--gpus" if hardware else "--hardware"
        raise MisuseError(
            f"Missing option {missing}: a plan is for a machine and a number "
            "of its devices"
        )
    from eisbach.cli import plan_output
    from eisbach.hardware import read_hardware
    from eisbach.planning import CHOSEN, Terms, make_plan
    from eisbach.search_line import SearchLine

    outputs = plan_output.Outputs(json, html, timeline, trace)
    outputs.check()
    terms = Terms(
        products=products.value,
        experts=expert_terms(
            experts,
            experts_per_token,
            hidden=expert_hidden,
            shared_hidden=shared_hidden,
            parallel=expert_parallel,
        ),
        by=by.value,
        grid=grid / 1000,
        price=price,
        power_cap=power_cap,
        deadline=(
            None if deadline is None else hours_of("--deadline", deadline)
        ),
        mtbf=mtbf,
        restart=restart,
        save_stall=save_stall,
    )
    _, config = load(arguments, command="plan", free=tuple(CHOSEN.values()))
    file = read_hardware(hardware)
    check_machine(context, file)
    with options_named(*TERMS), config.located():
        with SearchLine() as line:
            plan = make_plan(config, file, gpus, terms=terms, progress=line.at)
        outputs.write(plan, rows=rows)


def _calibrate(output: Path | None, threads: int) -> None:
    from eisbach.calibrating import calibrate, default_path
    from eisbach.cli import output_file

    if output is not None:
        output_file.check("--output", output, ".yaml")
    calibrate(output or default_path(threads), threads=threads)
