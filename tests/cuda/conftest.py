"""Fixtures for runs on the emulated GPU, whose library test_cuda.sh names.

The fixtures that start programs are those of tests/python.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pytest

_SHARED = Path(__file__).parents[1] / "python" / "conftest.py"
_spec = importlib.util.spec_from_file_location("shared_fixtures", _SHARED)
_shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_shared)
repo, cache, launch = _shared.repo, _shared.cache, _shared.launch
run, eisbach, start = _shared.run, _shared.eisbach, _shared.start
trainer = _shared.trainer


def pytest_configure():
    library = os.environ.get("EISBACH_CUDA_LIBRARY", "")
    if not Path(library).is_file():
        raise pytest.UsageError(
            "EISBACH_CUDA_LIBRARY names no build of the emulated GPU: "
            "run scripts/test_cuda.sh"
        )
    os.environ.setdefault("EISBACH_CUDA_DOUBLE_DEVICES", "8")
    os.environ.setdefault("EISBACH_CUDA_DOUBLE_SEED", "5")


# A model that an emulation steps through in a second, with what a real one has:
# dropout, shared embeddings, biases, several micro-batches.
TINY = (
    "model={layers: 4, hidden: 64, heads: 8, context: 32, dropout: 0.1}",
    "train={steps: 5, global_batch: 16, micro_batch: 2, validate_every: 0}",
    "train.validation_batches=1",
    "precision.compute=f32",
    "run={log_every: 1, threads: 1}",
)


@pytest.fixture(scope="session")
def tiny():
    """Overrides of configs/tiny.yaml that an emulated GPU can carry."""
    return TINY


@pytest.fixture(scope="session")
def train(trainer):
    """Trains the tiny model; returns the process and the run folder."""
    return trainer(*TINY)


@pytest.fixture(scope="session")
def curve():
    """Loss and gradient norm of each step of a run folder."""

    def curve(folder):
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        steps = [json.loads(line) for line in lines]
        return [x for s in steps for x in (s["loss"], s["grad_norm"])]

    return curve
