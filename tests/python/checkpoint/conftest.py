"""Checkpoints of an engine of one rank, in folders like those of runs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from eisbach import _C
from eisbach.config import make_config
from eisbach.core_config import engine_config
from eisbach.run.folder import RunFolder

MODEL = {"layers": 2, "hidden": 16, "heads": 2, "context": 8, "vocab": 256}
CONFIG = {"model": {**MODEL, "family": "gpt"}, "run.seed": 1}


class _Runs:
    """Makes run folders with checkpoints."""

    def __init__(self, folder):
        self._folder = folder
        self._context = _C.ParallelContext(_C.init(), _C.Mesh(1))

    def engine(self):
        train = {"global_batch": 1, "micro_batch": 1}
        config = make_config(model=MODEL, train=train)
        return _C.Engine(engine_config(config), self._context)

    def __call__(self, *steps, config=CONFIG, change=None):
        """Saves after `steps`; `change` is added to the last one's weights."""
        run = RunFolder.create(self._folder, "run")
        run.write_config(make_config(model=MODEL))
        engine = self.engine()
        for step in steps:
            engine.steps_done = step
            if change and step == steps[-1]:
                weights = engine.gather()
                for name, value in change.items():
                    weights[name] = weights[name] + np.float32(value)
                engine.scatter(weights)
            engine.save(
                run.checkpoints, config=config, state={"samples": 8 * step}
            )
        return run


@pytest.fixture
def runs(tmp_path):
    return _Runs(tmp_path)


@pytest.fixture
def files():
    """The files of a checkpoint by what its manifest says, the first first."""

    def files(folder):
        told = json.loads((folder / "manifest.json").read_text())
        return [folder / file["name"] for file in told["files"]]

    return files
