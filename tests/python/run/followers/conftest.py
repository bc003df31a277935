"""A run folder, and packages that stand for those of the trackers."""

import json

import pytest

from eisbach.run.folder import RunFolder

# Each writes what it is told as lines of JSON into the file $TOLD.
TELL = """
import json, os

def tell(*what):
    with open(os.environ["TOLD"], "a") as stream:
        stream.write(json.dumps(what) + "\\n")
"""
MLFLOW = """
from types import SimpleNamespace
from mlflow.tell import tell

class MlflowClient:
    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        return name

    def create_run(self, experiment, run_name):
        tell("run", experiment, run_name)
        return SimpleNamespace(info=SimpleNamespace(run_id="r1"))

    def log_batch(self, run, metrics=(), params=()):
        for metric in metrics:
            tell("metric", run, metric.key, metric.value, metric.step)
        for param in params:
            tell("param", run, param.key, param.value)

    def set_terminated(self, run):
        tell("end", run)
"""
ENTITIES = """
class Metric:
    def __init__(self, key, value, timestamp, step):
        self.key, self.value, self.step = key, value, step

class Param:
    def __init__(self, key, value):
        self.key, self.value = key, value
"""
WANDB = """
from wandb.tell import tell

class Run:
    def define_metric(self, *a, **k):
        pass

    def log(self, figures):
        tell("log", figures)

    def finish(self):
        tell("end")

def init(*, project, name, id, resume, dir, config):
    tell("run", project, name, id, config["model.layers"])
    return Run()
"""


@pytest.fixture
def folder(tmp_path):
    """The folder of a run of three steps."""
    path = tmp_path / "runs" / "a"
    path.mkdir(parents=True)
    (path / "config.yaml").write_text("model:\n  layers: 2\n")
    lines = [
        {"step": i, "loss": 3.0 / i, "skipped": False, "matmul_seconds": None}
        for i in (1, 2, 3)
    ]
    (path / "metrics.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines)
    )
    (path / "validation.jsonl").write_text('{"step": 2, "loss": 2.5}\n')
    return RunFolder(path)


@pytest.fixture
def packages(tmp_path):
    """A folder with packages that are called like those of the trackers."""
    home = tmp_path / "packages"
    for name, files in {
        "mlflow": {"__init__": MLFLOW, "entities": ENTITIES, "tell": TELL},
        "wandb": {"__init__": WANDB, "tell": TELL},
    }.items():
        (home / name).mkdir(parents=True)
        for file, text in files.items():
            (home / name / f"{file}.py").write_text(text)
    return home


@pytest.fixture
def told(tmp_path, packages, monkeypatch):
    """Returns what the trackers were told; this process sees them too."""
    file = tmp_path / "told.jsonl"
    monkeypatch.setenv("TOLD", str(file))
    monkeypatch.setenv("PYTHONPATH", str(packages))
    monkeypatch.syspath_prepend(str(packages))
    return lambda: (
        [json.loads(line) for line in file.read_text().splitlines()]
        if file.exists()
        else []
    )
