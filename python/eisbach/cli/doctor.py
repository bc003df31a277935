"""`eisbach doctor`: what is here, what is missing, how to get it."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer


def command(
    *,
    network: Annotated[
        bool,
        typer.Option(
            "--network",
            help="Measure every rank and the links between them instead, "
            "under `mpirun`.",
        ),
    ] = False,
    device: Annotated[
        str,
        typer.Option(help="What `--network` measures: cpu, cuda or auto."),
    ] = "auto",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Let `--network` exit with 1 when something is slow.",
        ),
    ] = False,
    pretend_slow: Annotated[
        int | None,
        typer.Option(
            metavar="RANK",
            help="Let this rank take ten times as long, to see `--network` "
            "find it.",
        ),
    ] = None,
) -> None:
    """Print versions, CPU features and MPI; say what is missing.

    The exit status is 1 when something is missing that training needs.

    With `--network` all ranks run matmul, copies, all-reduce, all-to-all and
    transfers between pairs. A table says where each rank runs, and what is
    slower than 0.8 of the median of its kind is named by rank and host.

    Examples:

    * `eisbach doctor`

    * `mpirun -n 16 eisbach doctor --network`

    * `mpirun -n 4 eisbach doctor --network --device cpu --pretend-slow 2`
    """  # noqa: D412
    if network:
        _network(device, strict, pretend_slow)
        return
    from eisbach.doctor import examine

    missing = 0
    for finding in examine():
        mark = (
            "ok  "
            if not finding.remedy
            else ("FAIL" if finding.needed else "note")
        )
        _print(f"{mark}  {finding.name:<12} ", finding.value)
        if finding.remedy:
            _print(f"{'':<18} -> ", finding.remedy)
        missing += bool(finding.remedy and finding.needed)
    if missing:
        raise typer.Exit(1)


def _print(head: str, text: str) -> None:
    """Prints a text in lines of 80 columns, but for long paths."""
    print(
        textwrap.fill(
            text,
            80,
            initial_indent=head,
            subsequent_indent=" " * len(head),
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def _network(device: str, strict: bool, pretend_slow: int | None) -> None:
    from eisbach.cli.train import end_with
    from eisbach.network import examine_network

    outliers = examine_network(device=device, pretend_slow=pretend_slow)
    end_with(int(strict and outliers > 0))
