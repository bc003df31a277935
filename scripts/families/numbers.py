"""What a model of others becomes here: its tensors, logits and steps."""

from __future__ import annotations

import contextlib
import functools
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach import _C
from eisbach.config import load_config, resolve
from eisbach.core_config import complete, engine_config
from eisbach.export.families import FAMILIES
from eisbach.export.load import load_weights
from eisbach.world import init
from families.results import Apart
from support.peers import Peer, check_gradients, whole, write_random

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from families.cases import Case

_STEPS = 20
_BATCH = 4
# The optimizer of `Peer`.
_OPTIONS = (
    "precision.compute=f32",
    f"train={{global_batch: {_BATCH}, micro_batch: 2}}",
    "optimizer={lr: 3.0e-4, schedule: constant, warmup_steps: 0, "
    "betas: [0.9, 0.95], eps: 1.0e-8, weight_decay: 0.1, clip_grad_norm: 1.0}",
)


def loaded(folder: Path) -> tuple[_C.Engine, Any]:
    """Returns an engine with the model of a folder, and what it is."""
    config = complete(
        resolve(load_config(None, [f"model.from={folder}", *_OPTIONS]))
    )
    world = init(device="cpu", threads=config.run.threads)
    context = _C.ParallelContext(world, _C.Mesh(1))
    engine = _C.Engine(engine_config(config), context)
    load_weights(engine, config, None, world)
    return engine, config.model


def export(folder: Path, output: Path, **options: Any) -> None:
    """Does what `eisbach export` does, and says nothing."""
    from eisbach.cli.export import command

    with contextlib.redirect_stdout(io.StringIO()):
        command(str(folder), output=output, **options)


class Numbers:
    """A random model as transformers writes it, and as it is here."""

    def __init__(self, case: Case, home: Path):
        self._case = case
        self._home = home

    @functools.cached_property
    def _net(self) -> Any:
        return write_random(
            self._home / "f32", self._case.kind, **self._case.keys
        )

    @functools.cached_property
    def _ours(self) -> tuple[_C.Engine, Any]:
        assert self._net
        return loaded(self._home / "f32")

    def arrives(self) -> None:
        """Compares each tensor of a folder with what the engine got."""
        engine, model = self._ours
        theirs = FAMILIES[model.family].to_theirs(
            whole(engine, "master"), model
        )
        for name, value in self._net.state_dict().items():
            tied = name == "lm_head.weight" and model.tie_embeddings
            if not tied and not np.array_equal(theirs[name], value.numpy()):
                raise Apart(f"{name} is not what it was")

    def logits(self) -> None:
        """Compares those of each position, within 1e-4."""
        import torch

        engine, _ = self._ours
        tokens = self._tokens(0)[:, :-1]
        ids = _C.Tensor.from_numpy(tokens.astype(np.int32), engine.device)
        with torch.no_grad():
            theirs = self._net(torch.from_numpy(tokens)).logits.numpy()
        np.testing.assert_allclose(
            engine.logits(ids).numpy(), theirs, rtol=1e-4, atol=1e-4
        )

    def gradient(self) -> None:
        """Compares that of a step, within 1e-4 of each tensor's largest."""
        check_gradients(*self._trained[0])

    def steps(self) -> None:
        """Compares losses of 20 steps of AdamW, within 1e-5."""
        np.testing.assert_allclose(*self._trained[1], rtol=1e-5)

    @functools.cached_property
    def _trained(self) -> tuple[Any, Any]:
        engine, model = self._ours
        peer = Peer(self._net)
        names = FAMILIES[model.family]
        losses = []
        gradients: Any = None
        for step in range(_STEPS):
            tokens = self._tokens(step)
            batch = _C.Batch(tokens[:, :-1], tokens[:, 1:], engine.device)
            ours = engine.step(batch)
            loss, _, theirs = peer.step(tokens)
            losses.append((ours.loss, loss))
            if gradients is None:
                own = names.to_theirs(whole(engine, "grad"), model)
                gradients = own, theirs
        return gradients, tuple(zip(*losses, strict=True))

    def _tokens(self, step: int) -> NDArray[Any]:
        model = self._ours[1]
        rng = np.random.default_rng(step)
        return rng.integers(0, model.vocab, (_BATCH, model.context + 1))

    def exported(self) -> None:
        """Compares tensors before an import and after an export, bit by bit."""
        for dtype in ("float32", "bfloat16"):
            folder = self._home / f"of-{dtype}"
            write_random(folder, self._case.kind, dtype, **self._case.keys)
            export(folder, self._home / f"to-{dtype}")
            before, after = (
                _C.read_safetensors(self._home / place / "model.safetensors")
                for place in (folder.name, f"to-{dtype}")
            )
            if set(before) != set(after) or before.types != after.types:
                raise Apart(f"{dtype}: other tensors, or of other types")
            for name in before:
                if before[name].tobytes() != after[name].tobytes():
                    raise Apart(f"{dtype}: {name} is not what it was")
