"""A world of one rank, small engines, and whole parameters by name."""

from types import SimpleNamespace

import numpy as np
import pytest

from eisbach import _C
from eisbach.config import make_config, resolve
from eisbach.config.model import ModelSection
from eisbach.core_config import model_config
from support.peers import whole


@pytest.fixture(scope="session")
def world():
    return _C.init()


@pytest.fixture(scope="session")
def context(world):
    return _C.ParallelContext(world, _C.Mesh(1))


def _update(**changes):
    optimizer = {
        "name": "adamw",
        "beta1": 0.9,
        "beta2": 0.95,
        "eps": 1e-8,
        "momentum": 0.0,
        "weight_decay": 0.1,
        "stochastic_rounding": False,
    }
    schedule = {
        "name": "constant",
        "learning_rate": 3e-4,
        "min_learning_rate": 0.0,
        "warmup_steps": 0,
        "total_steps": 100,
    }
    values = {
        "clip_grad_norm": 1.0,
        "compute_dtype": "f32",
        "bucket_bytes": 2**16,
        "seed": 1234,
        "initial_loss_scale": 65536.0,
        "loss_scale_window": 1000,
    }
    for name, value in changes.items():
        for group in (optimizer, schedule, values):
            if name in group:
                group[name] = value
                break
    return _C.UpdateConfig(
        optimizer=_C.OptimizerConfig(**optimizer),
        schedule=_C.ScheduleConfig(**schedule),
        **values,
    )


def _engine_config(**changes):
    model = {
        "family": "gpt",
        "layers": 2,
        "hidden": 48,
        "heads": 6,
        "kv_heads": 6,
        "ffn_hidden": 96,
        "context": 32,
        "vocab": 61,
        "dropout": 0.0,
        "tie_embeddings": True,
        "norm_eps": 1e-5,
    }
    choices = {
        name: value
        for name, value in changes.items()
        if name in ModelSection.model_fields
    }
    values = {
        "global_batch": 8,
        "micro_batch": 4,
        "recompute": "none",
        "deferred_weights": False,
        "pipeline_schedule": "1f1b",
        "layers_per_stage": [],
    }
    values.update({k: v for k, v in changes.items() if k in values})
    section = resolve(make_config(model={**model, **choices})).model
    return _C.EngineConfig(
        model=model_config(section), update=_update(**changes), **values
    )


def _batch(engine, rng):
    model = engine.config.model
    tokens = rng.integers(0, model.vocab, (engine.samples, model.context + 1))
    return tokens, _C.Batch(tokens[:, :-1], tokens[:, 1:], engine.device)


@pytest.fixture(scope="session")
def make(world, context):
    """Makes engines of one rank and what they are fed."""
    return SimpleNamespace(
        world=world,
        context=context,
        update_config=_update,
        engine_config=_engine_config,
        engine=lambda **changes: _C.Engine(_engine_config(**changes), context),
        batch=_batch,
        whole=whole,
        rng=np.random.default_rng,
    )
