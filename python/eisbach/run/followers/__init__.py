"""Trackers that read what a run writes, each in a process of its own.

A run starts those of `run.followers` and `run.metrics_port`, and `eisbach
follow` starts one for a run of any time. They read `metrics.jsonl` and
`validation.jsonl`, so no rank waits for one, and one may die.

To add one: a file with a class that has the methods of `follow.Follower`, its
name in `make` below, in `run.followers` of the configuration and in `eisbach
follow`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eisbach.run.folder import RunFolder
    from eisbach.run.followers.follow import Follower

NAMES = ("mlflow", "wandb", "prometheus")


def make(name: str, folder: RunFolder, *, port: int = 0) -> Follower:
    """Makes the follower of a name.

    Args:
      name: One of `NAMES`.
      folder: Of the run.
      port: Where `prometheus` answers.

    Raises:
      ValueError: The package that it needs is not installed.
      OSError: The port is in use.
    """
    if name == "mlflow":
        from eisbach.run.followers.mlflow import MlflowFollower

        return MlflowFollower(folder)
    if name == "wandb":
        from eisbach.run.followers.wandb import WandbFollower

        return WandbFollower(folder)
    from eisbach.run.followers.prometheus import PrometheusFollower

    return PrometheusFollower(folder, port=port)
