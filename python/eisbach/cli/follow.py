"""`eisbach follow`: a run in a tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[
        Path, typer.Argument(help="The folder of a run.", metavar="RUN")
    ],
    *,
    to: Annotated[str, typer.Option(help="`mlflow`, `wandb` or `prometheus`.")],
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="Where `prometheus` answers; 0: any."
        ),
    ] = 9464,
) -> None:
    """Send the figures of a run to a tracker, until the run ends.

    It reads the files of the run, so the run need not know, may have ended
    long ago, and loses nothing when a tracker fails. `run.followers` and
    `run.metrics_port` start the same with a run.

    MLflow and W&B say where to by variables of their own, such as
    MLFLOW_TRACKING_URI and WANDB_PROJECT.

    Examples:

    * `eisbach follow runs/gpt_bytes --to mlflow`

    * `eisbach follow runs/gpt_bytes --to prometheus --port 9464`
    """  # noqa: D412
    import time

    from eisbach.config.problems import closest
    from eisbach.run.comparison import read_run
    from eisbach.run.folder import RunFolder
    from eisbach.run.followers import NAMES, make
    from eisbach.run.followers.follow import follow, in_a_line

    if to not in NAMES:
        near = closest(to, NAMES) or NAMES[0]
        raise ValueError(
            f"--to={to}: must be {', '.join(NAMES)}; nearest: {near}"
        )
    folder = RunFolder.open(run)

    def ended(seconds: float) -> bool:
        time.sleep(seconds)
        return read_run(folder.path).state != "running"

    with in_a_line():
        follower = make(to, folder, port=port)
        if to == "prometheus":
            print(f"http://127.0.0.1:{follower.port}/metrics", flush=True)
        follow(folder, follower, ended)
