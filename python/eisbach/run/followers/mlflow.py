"""MLflow: where to is said by its own variables (MLFLOW_TRACKING_URI)."""

from __future__ import annotations

import os
import time
from typing import Any

from eisbach.run.comparison import read_run
from eisbach.run.folder import RunFolder
from eisbach.run.followers.follow import figures
from eisbach.run.followers.mark import Mark

# Of one request, as MLflow's servers take them.
_MOST_METRICS = 1000
_MOST_PARAMS = 100


class MlflowFollower:
    """Logs figures as metrics and the configuration as parameters."""

    def __init__(self, folder: RunFolder):
        """Makes a run in MLflow, or finds that of an earlier process.

        Raises:
          ValueError: MLflow is not installed.
        """
        try:
            from mlflow import MlflowClient
            from mlflow.entities import Metric, Param
        except ImportError:
            raise ValueError(
                "MLflow is not installed: pip install eisbach[mlflow]"
            ) from None
        self._metric = Metric
        self._client = MlflowClient()
        self._mark = Mark(folder, "mlflow")
        if self._mark.id:
            return
        run = self._client.create_run(
            self._experiment(), run_name=folder.path.name
        )
        self._mark.id = run.info.run_id
        self._mark.save()
        keys = [
            Param(name, str(value)[:500])
            for name, value in read_run(folder.path).keys.items()
        ]
        for start in range(0, len(keys), _MOST_PARAMS):
            self._client.log_batch(
                self._mark.id, params=keys[start : start + _MOST_PARAMS]
            )

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "eisbach")
        found = self._client.get_experiment_by_name(name)
        if found:
            return found.experiment_id
        return self._client.create_experiment(name)

    def send(self, group: str, lines: list[dict[str, Any]]) -> None:
        """Logs lines, many in a request."""
        now = int(time.time() * 1000)
        metrics = [
            self._metric(f"{group}/{name}", value, now, line["step"])
            for line in self._mark.news(group, lines)
            for name, value in figures(line).items()
        ]
        for start in range(0, len(metrics), _MOST_METRICS):
            self._client.log_batch(
                self._mark.id, metrics=metrics[start : start + _MOST_METRICS]
            )
        self._mark.keep(group, lines[-1]["step"])

    def close(self) -> None:
        """Marks the run as finished."""
        self._client.set_terminated(self._mark.id)
