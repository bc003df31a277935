"""Options of `eisbach plan`: their ranges, and which go together."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import typer

from eisbach.cli.arguments import MisuseError

if TYPE_CHECKING:
    from eisbach.hardware import HardwareFile

# Far beyond what is meant: of what lies above, a plan tells nonsense.
MOST = 1e9
MOST_DEVICES = 2**31 - 1
# Those that say how this machine is measured.
_MEASURING = {"threads", "output"}
_TIME = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?) *([a-z]*)")


def number(text: str, *, most: float = MOST) -> typer.models.OptionInfo:
    """Declares an option that is a number from 0 on.

    Args:
      text: Its help.
      most: That it may be.
    """
    return typer.Option(min=0, max=most, callback=_finite, help=text)


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value}: must be a finite number")
    return value


def hours_of(option: str, text: str) -> float:
    """Reads a time as in `36h` or `90d`.

    Raises:
      ValueError: It is none; the message has what was meant, if that is clear.
    """
    told = "hours are written as 36h, days as 90d"
    found = _TIME.fullmatch(text.strip().lower())
    if not found:
        raise ValueError(f"{option} {text}: is no time; {told}")
    value, unit = float(found[1]), found[2][:1] or "h"
    if unit not in "hd":
        raise ValueError(f"{option} {text}: is no time; {told}")
    hours = value * (24 if unit == "d" else 1)
    if not 0 < hours <= MOST:
        near = f"; nearest that works: {MOST:.0f}h" if hours > 0 else ""
        rule = f"must be above 0 and at most {MOST:.0f}h"
        raise ValueError(f"{option} {text}: {rule}{near}")
    if found[2] != unit:
        raise ValueError(
            f"{option} {text}: is no time; {told}; nearest that works: "
            f"{found[1]}{unit}"
        )
    return hours


def given(context: typer.Context) -> set[str]:
    """The names of what the command line gives."""
    return {
        name
        for name in context.params
        if (source := context.get_parameter_source(name))
        and source.name == "COMMANDLINE"
    }


def check_mode(context: typer.Context) -> None:
    """Refuses what has no meaning beside the other options.

    Raises:
      MisuseError: It measures this machine and something is said of a plan, or
        the other way round.
    """
    said = given(context)
    if context.params["calibrate"]:
        others = said - {"calibrate"} - _MEASURING
        if others:
            raise MisuseError(
                "--calibrate measures this machine and plans nothing; beside "
                "it are only --threads and --output: leave out "
                f"{_spell(others)}"
            )
    elif lone := said & _MEASURING:
        raise MisuseError(
            f"{_spell(lone)}: only with --calibrate, which measures this "
            "machine; a plan has --json, --html, --timeline and --trace"
        )


def check_machine(context: typer.Context, file: HardwareFile) -> None:
    """Refuses what has no meaning on a machine.

    Raises:
      MisuseError: It is about failures or emissions, of which that says
        nothing.
    """
    said, mtbf = given(context), context.params["mtbf"]
    between = file.failures.hours_between if mtbf is None else mtbf
    if not between and (lone := said & {"restart", "save_stall"}):
        why = f"{file.name} does not say how often (failures.hours_between)"
        if mtbf is not None:
            why = "with --mtbf 0 none does"
        raise MisuseError(
            f"{_spell(lone)}: has a meaning where devices fail, and {why}; "
            "leave it out, or say how often by --mtbf"
        )
    if not file.power.busy_watts and "grid" in said:
        raise MisuseError(
            f"--grid: has a meaning where it is known what a device draws, and "
            f"{file.name} does not say that (power.busy_watts); leave it out"
        )


def _spell(names: set[str]) -> str:
    """Spells options as they are given."""
    spelled = [
        "the configuration" if name == "arguments" else f"--{name}"
        for name in sorted(names)
    ]
    return " and ".join(spelled).replace("_", "-")
