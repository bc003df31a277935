"""The engine on one rank against PyTorch, from the same weights and batches."""

import numpy as np
import pytest

from eisbach import _C
from eisbach.config import make_config, resolve
from eisbach.export.families import FAMILIES
from support.peers import Peer, check_gradients

SIZES = {
    "layers": 2,
    "hidden": 48,
    "heads": 6,
    "kv_heads": 6,
    "ffn_hidden": 96,
    "context": 32,
    "vocab": 61,
}
MODELS = {
    "gpt": {"family": "gpt"},
    "gpt_untied": {"family": "gpt", "tie_embeddings": False},
    "llama": {"family": "llama", "kv_heads": 2, "tie_embeddings": False},
    "llama_tied": {"family": "llama", "kv_heads": 6},
    "llama3": {
        "family": "llama",
        "head_dim": 12,
        "rope_scaling": "llama3",
        "rope_factor": 4.0,
        "rope_original_context": 16,
    },
    "qwen2": {"family": "qwen2", "kv_heads": 3},
    "qwen3": {"family": "qwen3", "kv_heads": 2, "head_dim": 12},
    "smollm3": {"family": "smollm3", "no_rope_every": 2},
    "mistral_window": {"family": "mistral", "kv_heads": 2, "window": 5},
    "qwen3_windows": {"family": "qwen3", "window": 3, "window_from": 1},
    "phi3": {"family": "phi3", "kv_heads": 2, "rope_fraction": 0.5},
    "phi3_longrope": {
        "family": "phi3",
        "rope_scaling": "longrope",
        "rope_factor": 4.0,
        "rope_original_context": 8,
        "rope_short_factors": [1.0, 1.0, 1.0, 1.0],
        "rope_long_factors": [1.0, 2.0, 4.5, 8.0],
    },
    "gemma2": {"family": "gemma2", "kv_heads": 2, "window": 5},
    "gemma3": {
        "family": "gemma3",
        "kv_heads": 3,
        "window": 5,
        "window_full_every": 2,
    },
    "olmo2": {"family": "olmo2", "kv_heads": 2, "tie_embeddings": False},
    "apertus": {"family": "apertus", "kv_heads": 2},
}
STEPS = 50


def _peer(engine, make, choices):
    """The same model in transformers, trained by PyTorch."""
    import torch
    import transformers

    model = resolve(make_config(model={**SIZES, **choices})).model
    names = FAMILIES[model.family]
    described = names.config(model)
    kind = getattr(transformers, described["architectures"][0])
    config = kind.config_class(**described)
    config._attn_implementation = "eager"
    net = kind(config).to(torch.float32)
    theirs = names.to_theirs(make.whole(engine, "master"), model)
    tensors = {n: torch.from_numpy(v) for n, v in theirs.items()}
    net.load_state_dict(tensors, strict=False)
    net.tie_weights()
    return Peer(net), lambda ours: names.to_theirs(ours, model)


@pytest.mark.parametrize("model", MODELS)
def test_fifty_steps_equal_those_of_pytorch(make, model):
    engine = make.engine(**MODELS[model])
    peer, renamed = _peer(engine, make, MODELS[model])
    rng = make.rng(7)
    for step in range(STEPS):
        tokens, batch = make.batch(engine, rng)
        result = engine.step(batch)
        loss, norm, gradients = peer.step(tokens)
        assert result.loss == pytest.approx(loss, rel=1e-5)
        assert result.grad_norm == pytest.approx(norm, rel=1e-4)
        if step == 0:
            check_gradients(renamed(make.whole(engine, "grad")), gradients)


@pytest.mark.parametrize("model", ["gpt", "llama"])
def test_masked_targets_equal_the_ignored_ones_of_pytorch(make, model):
    engine = make.engine(**MODELS[model])
    peer, renamed = _peer(engine, make, MODELS[model])
    rng = make.rng(7)
    losses, counts = [], []
    for step in range(10):
        tokens, _ = make.batch(engine, rng)
        targets = tokens[:, 1:].copy()
        # The two micro-batches of four have unequal shares that count.
        targets[:4][rng.random((4, 32)) < 0.2] = -100
        targets[4:, : 16 + step] = -100
        batch = _C.Batch(tokens[:, :-1], targets, engine.device)
        losses.append(engine.evaluate(batch))
        counts.append((targets != -100).sum())
        result = engine.step(batch)
        loss, norm, _ = peer.step(tokens, targets)
        assert result.counted == counts[-1]
        assert result.loss == pytest.approx(loss, rel=1e-5)
        assert losses[-1] == pytest.approx(loss, rel=1e-5)
        assert result.grad_norm == pytest.approx(norm, rel=1e-4)
    theirs = dict(peer.net.named_parameters())
    ours = renamed(make.whole(engine, "master"))
    for name, value in theirs.items():
        np.testing.assert_allclose(
            ours[name], value.detach().numpy(), rtol=0, atol=2e-5, err_msg=name
        )


def test_several_batches_are_evaluated_as_one(make):
    engine = make.engine()
    rng = make.rng(3)
    batches, losses, counts = [], [], []
    for masked in (0, 3, 31):
        tokens, _ = make.batch(engine, rng)
        targets = tokens[:, 1:].copy()
        targets[:, :masked] = -1
        batches.append(_C.Batch(tokens[:, :-1], targets, engine.device))
        losses.append(engine.evaluate(batches[-1]))
        counts.append(32 - masked)
    mean = np.average(losses, weights=counts)
    assert engine.evaluate(iter(batches)) == pytest.approx(mean, rel=1e-12)
    assert abs(mean - np.mean(losses)) > 1e-5
    with pytest.raises(ValueError, match="no token counts"):
        engine.evaluate([])


def test_ids_outside_the_vocabulary_are_named(make):
    engine = make.engine()
    tokens, _ = make.batch(engine, make.rng(1))
    before = engine.gather()
    for row, entry in (("token", 0), ("target", 1)):
        for id in (-5, 61, 999):
            ids = [tokens[:, :-1].copy(), tokens[:, 1:].copy()]
            ids[entry][6, 30] = id
            batch = _C.Batch(*ids, engine.device)
            if row == "target" and id < 0:
                continue
            match = (
                f"{row} {id} at position 30 of sample 6 is outside the "
                "vocabulary of 61"
            )
            with pytest.raises(ValueError, match=match):
                engine.step(batch)
            with pytest.raises(ValueError, match=match):
                engine.evaluate([batch])
            if row == "token":
                ids = np.ascontiguousarray(ids[0], dtype=np.int32)
                with pytest.raises(ValueError, match=match):
                    engine.logits(_C.Tensor.from_numpy(ids, engine.device))
    nothing = _C.Batch(
        tokens[:, :-1], np.full_like(tokens[:, 1:], -100), engine.device
    )
    with pytest.raises(ValueError, match="step 1, which is void: no token"):
        engine.step(nothing)
    for name, value in engine.gather().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_evaluation_changes_nothing(make):
    engine, other = make.engine(), make.engine()
    _, batch = make.batch(engine, make.rng(1))
    loss = engine.evaluate(batch)
    assert engine.evaluate(batch) == loss
    result = engine.step(batch)
    assert result.loss == pytest.approx(loss, rel=1e-6)
    assert other.step(batch).loss == result.loss
    np.testing.assert_array_equal(
        engine.gather()["embedding.token.weight"],
        other.gather()["embedding.token.weight"],
    )


@pytest.mark.parametrize(
    "changes", [{"recompute": "block"}, {"deferred_weights": True}]
)
def test_another_order_of_work_gives_the_same_bits(make, changes):
    plain, other = make.engine(), make.engine(**changes)
    rng = make.rng(1)
    for _ in range(3):
        _, batch = make.batch(plain, rng)
        assert repr(other.step(batch)) == repr(plain.step(batch))
    expected = plain.gather()
    for name, value in other.gather().items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_bf16_follows_f32(make):
    engines = [make.engine(compute_dtype=t) for t in ("f32", "bf16")]
    rng = make.rng(1)
    for _ in range(10):
        _, batch = make.batch(engines[0], rng)
        losses = [engine.step(batch).loss for engine in engines]
        assert losses[1] == pytest.approx(losses[0], rel=1e-2)
    assert engines[1].parameters[0].data.dtype == "bf16"


def test_parameters_are_gathered_as_copies_or_where_they_lie(make):
    engine = make.engine()
    copies, views = engine.gather(), engine.gather(copy=False)
    assert copies.keys() == views.keys()
    for name, view in views.items():
        np.testing.assert_array_equal(view, copies[name])
        assert not view.flags.writeable
    _, batch = make.batch(engine, make.rng(1))
    engine.step(batch)
    name = "blocks.1.mlp.down.weight"
    after = engine.gather()[name]
    assert (after != copies[name]).any()
    np.testing.assert_array_equal(views[name], after)
    del engine
    assert np.isfinite(views[name]).all()


def test_a_loss_that_is_not_finite_names_the_tensor(make):
    engine = make.engine()
    _, batch = make.batch(engine, make.rng(1))
    engine.step(batch)
    parameters = engine.gather()
    name = "blocks.1.mlp.down.weight"
    [broken] = [one for one in engine.parameters if one.name == name]
    broken.master.numpy()[:] = np.nan
    engine.refresh()
    with pytest.raises(_C.NonFiniteError, match=f"step 2.*{name}"):
        engine.step(batch)
    np.testing.assert_array_equal(
        engine.gather()["final_norm.weight"], parameters["final_norm.weight"]
    )
    assert issubclass(_C.NonFiniteError, ArithmeticError)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"global_batch": 6}, r"train\.global_batch"),
        ({"layers_per_stage": [1, 1]}, "layers_per_stage"),
        ({"pipeline_schedule": "2f2b"}, "1f1b"),
        ({"micro_batch": 0}, r"train\.micro_batch"),
    ],
)
def test_what_does_not_fit_is_found_before_anything_is_made(
    make, changes, reason
):
    config = make.engine_config(**changes)
    with pytest.raises(ValueError, match=reason):
        config.validate(_C.Mesh(1))
    with pytest.raises(ValueError, match=reason):
        _C.Engine(config, make.context)


def test_batches_that_do_not_fit(make):
    engine = make.engine()
    tokens = make.rng(0).integers(0, 61, (4, 33))
    batch = _C.Batch(tokens[:, :-1], tokens[:, 1:], engine.device)
    with pytest.raises(ValueError, match="8 samples"):
        engine.step(batch)
    longer = make.rng(0).integers(0, 61, (8, 41))
    batch = _C.Batch(longer[:, :-1], longer[:, 1:], engine.device)
    with pytest.raises(ValueError, match="context=32"):
        engine.step(batch)


def test_what_an_engine_tells(make):
    engine = make.engine()
    assert (engine.samples, engine.micro_batches, engine.layers) == (
        8,
        2,
        [(0, 2)],
    )
    assert engine.config.model.hidden == 48
    _, batch = make.batch(engine, make.rng(1))
    engine.step(batch)
    assert engine.steps_done == 1
    memory = engine.device.memory()
    assert memory.peak_bytes_in_use >= memory.bytes_in_use > 0


def test_a_step_that_overflows_in_f16_is_skipped(make):
    engine = make.engine(compute_dtype="f16", initial_loss_scale=2.0**24)
    rng = make.rng(1)
    scale = 2.0**24
    skipped = 0
    for _ in range(12):
        before = make.whole(engine, "master")
        _, batch = make.batch(engine, rng)
        result = engine.step(batch)
        assert result.loss_scale == scale
        assert np.isfinite(result.loss)
        assert np.isfinite(result.grad_norm) != result.skipped
        after = make.whole(engine, "master")
        same = all((after[name] == before[name]).all() for name in before)
        assert same == result.skipped
        skipped += result.skipped
        scale /= 1 + result.skipped
    assert 0 < skipped < 12
    assert "loss_scale=" in repr(result)


def test_stochastic_rounding_changes_the_copy_alone(make):
    engines = [
        make.engine(compute_dtype="bf16", stochastic_rounding=random)
        for random in (False, True)
    ]
    _, batch = make.batch(engines[0], make.rng(1))
    masters = [make.whole(engine, "master") for engine in engines]
    for engine in engines:
        engine.step(batch)
        for parameter in engine.parameters:
            master = parameter.master.numpy()
            data = parameter.data.numpy().astype(np.float32)
            np.testing.assert_allclose(data, master, rtol=2**-7, atol=1e-30)
    for name, value in masters[0].items():
        np.testing.assert_array_equal(value, masters[1][name])
    with pytest.raises(ValueError, match=r"optimizer\.stochastic_rounding"):
        make.engine(compute_dtype="f32", stochastic_rounding=True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"on_spike": "retry"}, "stop, skip, rerun"),
        ({"deviations": -1.0}, r"fault\.spike_deviations"),
        ({"window": 3}, r"fault\.spike_window\); nearest that works: 4"),
        ({"most_skips": 0}, r"fault\.most_skips"),
    ],
)
def test_rules_of_spikes_that_do_not_fit_name_the_key(changes, reason):
    with pytest.raises(ValueError, match=reason):
        _C.SpikeConfig(**changes)
