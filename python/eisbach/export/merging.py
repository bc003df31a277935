"""Makes adapters part of the weights, and shows that nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach.config.parallel import ParallelSection
from eisbach.core_config import complete, engine_config, make_mesh
from eisbach.export.adapted import Adapted
from eisbach.export.carried import OF_MODEL, Carried, read_carried
from eisbach.export.dtypes import cast
from eisbach.export.load import load_weights
from eisbach.export.source import Source
from eisbach.run.folder import has_config
from eisbach.world import init

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach import _C
    from eisbach.config import Config

_ROWS = 2
_TOKENS = 64


def merge(adapted: Adapted, *, dtype: str = "f32") -> tuple[Source, str]:
    """Merges adapters in f32 and compares logits of a sample.

    Args:
      adapted: Adapters and their model.
      dtype: In which the weights will be written.

    Returns:
      The model, in f32, and how far its logits are from those of model and
      adapters, in words.

    Raises:
      ValueError: A file is damaged, or a weight is too large for `dtype`.
    """
    config = complete(alone(adapted.config, compute="f32"))
    engine, world = engine_of(config)
    tokenizer = adapted.tokenizer(config.model.vocab)
    load_weights(engine, config, tokenizer, world)
    tokens = _sample(config)
    before = engine.logits(tokens).numpy()
    engine.merge_adapters()
    merged = engine.logits(tokens).numpy()
    parameters = engine.gather()
    proof = (
        f"merged in f32: logits of {tokens.size} tokens are "
        f"{_apart(merged, before):.2g} apart at most from those of model and "
        f"adapters, and up to {np.abs(before).max():.3g}"
    )
    if dtype != "f32":
        engine.scatter(
            {name: cast(name, v, dtype) for name, v in parameters.items()}
        )
        rounded = engine.logits(tokens).numpy()
        proof += f"; {_apart(rounded, before):.2g} apart in {dtype}"
    source = Source(
        config.model,
        parameters,
        tokenizer,
        adapted.ends(),
        adapted.path,
        adapted.step,
        adapted.named,
        adapted.home,
        _carried(adapted),
        adapted.home if has_config(adapted.home) else None,
    )
    return source, proof


def _carried(adapted: Adapted) -> Carried:
    """What goes along with the model; a tokenizer's files are the adapters'."""
    found = read_carried(adapted.base)
    own = read_carried(adapted.folder).files
    files = {name: own[name] for name in own if name not in OF_MODEL}
    return replace(found, files={**found.files, **files})


def _apart(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a - b).max())


def _sample(config: Config) -> NDArray[Any]:
    """Tokens from all of the vocabulary."""
    length = min(config.model.context, _TOKENS)
    return np.random.default_rng(0).integers(
        config.model.vocab, size=(_ROWS, length), dtype=np.int32
    )


def engine_of(config: Config) -> tuple[_C.Engine, _C.World]:
    """Makes an engine that has a model whole on each rank; collective.

    Args:
      config: Of `alone`.
    """
    from eisbach import _C

    world = init(device=config.run.device, threads=config.run.threads)
    config = config.derive("parallel.data", world.size, "the model is whole")
    config = config.derive("train.global_batch", world.size, "one each")
    mesh = make_mesh(config, world.size)
    engine = _C.Engine(engine_config(config), _C.ParallelContext(world, mesh))
    return engine, world


def alone(config: Config, *, compute: str | None = None) -> Config:
    """Returns a copy for a model that is whole on each rank, and not trained.

    Args:
      config: Of a run.
      compute: Type to compute in; None for that of the configuration.
    """
    why = "the model is whole"
    plain = ParallelSection()
    for name in ParallelSection.model_fields:
        config = config.derive(f"parallel.{name}", getattr(plain, name), why)
    config = config.derive("train.micro_batch", 1, why)
    return (
        config.derive("precision.compute", compute, "merging")
        if compute
        else config
    )
