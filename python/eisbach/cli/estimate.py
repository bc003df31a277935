"""`eisbach estimate`: what a configuration takes."""

from __future__ import annotations

import sys
import threading
import time
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
            max=2**20,  # MOST_RANKS, whose module is slow to import
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
        with Patience() as patience:
            rows = estimate(found, progress=patience.at)
        print("\n".join(table(found, rows)))


class Patience:
    """Says on standard error how far a long estimate is, now and then."""

    def __init__(self, *, every_seconds: float = 10.0):
        self._every = every_seconds
        self._place = (0, 0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell)

    def __enter__(self) -> Patience:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def at(self, done: int, whole: int) -> None:
        """Is told how many ranks are done, and of how many that differ."""
        self._place = (done, whole)

    def _tell(self) -> None:
        start = time.monotonic()
        while not self._ended.wait(self._every):
            done, whole = self._place
            seconds = time.monotonic() - start
            self._say(
                f"estimating for {seconds:.0f} s: {done} of {whole} different "
                "ranks are done"
            )

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
