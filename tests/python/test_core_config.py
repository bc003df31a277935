import pytest

from eisbach.config import load_config, make_config, resolve
from eisbach.core_config import (
    complete,
    engine_config,
    make_mesh,
    preference_config,
    update_config,
)


def test_every_key_arrives():
    config = load_config(
        None,
        [
            "model={family: llama, layers: 3, hidden: 48, heads: 6}",
            "model={kv_heads: 2, context: 20, dropout: 0.1, norm_eps: 1e-6}",
            "model={tie_embeddings: false, rope_theta: 500.0, vocab: 99}",
            "train={global_batch: 12, micro_batch: 3, recompute: block}",
            "train.steps=77",
            "optimizer={lr: 0.5, min_lr: 0.25, warmup_steps: 5}",
            "optimizer={betas: [0.7, 0.8], eps: 0.001, weight_decay: 0.2}",
            "optimizer={clip_grad_norm: 3.0, schedule: linear}",
            "parallel={schedule: gpipe, layers_per_stage: [1, 2], chunks: 1}",
            "run.seed=5",
            "precision.compute=bf16",
        ],
    )
    engine = engine_config(config)
    model, update = engine.model, engine.update
    assert (model.family, model.layers, model.hidden) == ("llama", 3, 48)
    assert (model.heads, model.kv_heads, model.context) == (6, 2, 20)
    assert (model.ffn_hidden, model.vocab) == (128, 99)
    assert not model.tie_embeddings
    assert model.dropout == pytest.approx(0.1)
    assert model.norm_eps == pytest.approx(1e-6)
    assert (engine.global_batch, engine.micro_batch) == (12, 3)
    assert (engine.recompute, engine.recompute_layers) == ("block", None)
    assert engine.sequence is None
    assert (engine.pipeline_schedule, engine.chunks) == ("gpipe", 1)
    assert engine.layers_per_stage == [1, 2]
    assert (update.seed, update.compute_dtype) == (5, "bf16")
    assert update.clip_grad_norm == 3.0
    optimizer, schedule = update.optimizer, update.schedule
    assert (optimizer.name, optimizer.beta1, optimizer.beta2) == (
        "adamw",
        0.7,
        0.8,
    )
    assert (optimizer.eps, optimizer.weight_decay) == (0.001, 0.2)
    assert (schedule.name, schedule.learning_rate) == ("linear", 0.5)
    assert (schedule.min_learning_rate, schedule.warmup_steps) == (0.25, 5)
    assert schedule.total_steps == 77


def test_every_choice_of_a_model_arrives():
    config = load_config(
        None,
        [
            "model={family: qwen3, head_dim: 12, vocab: 99, mlp_bias: true}",
            "model={qkv_bias: true, output_bias: true, qk_norm: none}",
            "model={rope_theta: 500.0, no_rope_every: 3, rope_factor: 2.0}",
            "model={rope_scaling: llama3, rope_original_context: 64}",
            "model={rope_low_frequency: 2.0, rope_high_frequency: 3.0}",
        ],
    )
    model = engine_config(config).model
    assert model.head_dim == 12
    made = model.architecture
    assert (made.qkv_bias, made.output_bias, made.mlp_bias) == (True,) * 3
    assert (made.qk_norm, made.no_rope_every) == ("none", 3)
    rope = made.rope
    assert (rope.theta, rope.scaling, rope.factor) == (500.0, "llama3", 2.0)
    assert (rope.low_frequency, rope.high_frequency) == (2.0, 3.0)
    assert rope.original_context == 64
    yarn = make_config(
        model={
            "family": "llama",
            "vocab": 9,
            "rope_scaling": "yarn",
            "rope_factor": 2.0,
            "rope_original_context": 64,
            "rope_beta_slow": 2.0,
            "rope_beta_fast": 3.0,
            "rope_attention_factor": 1.5,
        }
    )
    rope = engine_config(yarn).model.architecture.rope
    assert (rope.beta_slow, rope.beta_fast) == (2.0, 3.0)
    assert rope.attention_factor == 1.5


def test_loss_scale_and_rounding_arrive():
    update = update_config(
        make_config(
            precision={
                "compute": "f16",
                "initial_loss_scale": 512.0,
                "loss_scale_window": 20,
            }
        )
    )
    assert update.compute_dtype == "f16"
    assert (update.initial_loss_scale, update.loss_scale_window) == (512.0, 20)
    assert not update.optimizer.stochastic_rounding
    update = update_config(
        make_config(
            precision={"compute": "bf16"},
            optimizer={"stochastic_rounding": True},
        )
    )
    assert update.optimizer.stochastic_rounding
    assert update.initial_loss_scale == 65536


def test_what_data_ranks_divide_arrives():
    update = update_config(make_config(precision={"compute": "f32"}))
    assert (update.zero, update.zero_group, update.zero_prefetch) == (0, 0, 1)
    assert update.reduce_wire == "f32"
    update = update_config(
        make_config(
            precision={"compute": "f32"},
            parallel={
                "zero": 3,
                "zero_group": 4,
                "zero_prefetch": 2,
                "reduce_wire": "bf16",
            },
        )
    )
    assert (update.zero, update.zero_group, update.zero_prefetch) == (3, 4, 2)
    assert update.reduce_wire == "bf16"


def test_how_rows_are_divided_arrives():
    engine = engine_config(make_config())
    assert engine.context_method == "auto"
    assert (engine.ulysses_group, engine.context_neighbours) == (0, 0)
    config = make_config(
        parallel={"context_method": "ulysses_ring", "ulysses_group": 2}
    )
    engine = engine_config(config, context_neighbours=8)
    assert engine.context_method == "ulysses_ring"
    assert (engine.ulysses_group, engine.context_neighbours) == (2, 8)


def test_what_a_gpu_may_do_arrives():
    engine = engine_config(make_config(precision={"compute": "f32"}))
    assert (engine.tf32, engine.replays_steps) == (False, True)
    engine = engine_config(
        make_config(
            precision={"compute": "f32", "tf32": True},
            run={"cuda_graphs": False},
        )
    )
    assert (engine.tf32, engine.replays_steps) == (True, False)
    # What is compared in every call cannot be captured.
    engine = engine_config(make_config(fault={"check_collectives": True}))
    assert not engine.replays_steps


def test_sgd_arrives():
    config = make_config(optimizer={"name": "sgd", "momentum": 0.9})
    optimizer = update_config(config).optimizer
    assert (optimizer.name, optimizer.momentum) == ("sgd", 0.9)


def test_muon_arrives():
    optimizer = {
        "name": "muon",
        "lr": 0.02,
        "adamw_lr": 0.005,
        "nesterov": False,
        "newton_schulz_steps": 4,
        "matrix_scale": "match_rms_adamw",
        "groups": [{"parameters": ["*.up.*"], "rule": "adamw"}],
    }
    config = make_config(optimizer=optimizer)
    made = update_config(config).optimizer
    assert (made.name, made.momentum, made.nesterov) == ("muon", 0.95, False)
    assert made.adamw_lr_factor == pytest.approx(0.25)
    assert made.newton_schulz_steps == 4
    assert made.matrix_scale == "match_rms_adamw"
    assert [group.adamw for group in made.groups] == [True]
    sgd = update_config(make_config(optimizer={"name": "sgd"}))
    assert sgd.optimizer.momentum == 0


def test_shapes_of_learning_rates_arrive():
    config = make_config(
        optimizer={"schedule": "wsd", "decay_steps": 7, "decay": "sqrt"}
    )
    made = update_config(config).schedule
    assert (made.name, made.decay_steps, made.decay) == ("wsd", 7, "sqrt")
    restarts = {"cycle_steps": 9, "cycle_factor": 1.5}
    config = make_config(optimizer={"schedule": "cosine_restarts", **restarts})
    made = update_config(config).schedule
    assert (made.cycle_steps, made.cycle_factor) == (9, 1.5)


def test_what_is_kept_and_added_arrives():
    train = {"ema": 0.99, "z_loss": 1e-4, "label_smoothing": 0.1}
    made = engine_config(make_config(train=train))
    assert made.update.optimizer.average_decay == 0.99
    assert made.z_loss == pytest.approx(1e-4)
    assert made.label_smoothing == pytest.approx(0.1)


def test_auto_is_completed():
    config = complete(load_config())
    assert config.model.vocab == 256
    assert config.precision.compute in ("f32", "bf16")
    assert complete(config) == config


def test_the_mesh_takes_what_is_left():
    config = load_config(None, ["parallel.tensor=2"])
    assert make_mesh(config, 6).size("data") == 3
    with pytest.raises(ValueError, match=r"parallel\.tensor"):
        make_mesh(config, 5)
    config = load_config(None, ["parallel.data=2"])
    with pytest.raises(ValueError, match=r"parallel\.data"):
        make_mesh(config, 3)


def test_ranks_are_placed_by_their_locations(monkeypatch):
    config = load_config(None, ["parallel.tensor=2"])
    asked = []

    def place(locations, *, tensor):
        asked.append((locations, tensor))
        return [0, 2, 1, 3]

    monkeypatch.setattr("eisbach._C.place_ranks", place)
    mesh = make_mesh(config, 4, locations=["a", "b", "c", "d"])
    assert asked == [(["a", "b", "c", "d"], 2)]
    assert mesh.coordinate(1, "data") == 1
    assert make_mesh(config, 4).coordinate(1, "data") == 0


def test_groups_arrive():
    update = update_config(
        make_config(
            optimizer={
                "groups": [
                    {"parameters": ["a", "b.*"], "frozen": True},
                    {
                        "parameters": ["c"],
                        "lr_factor": 0.5,
                        "weight_decay": 0.25,
                    },
                ]
            }
        )
    )
    first, second = update.optimizer.groups
    assert (first.parameters, first.frozen) == (["a", "b.*"], True)
    assert (first.lr_factor, first.weight_decay) == (1.0, None)
    assert (second.parameters, second.frozen) == (["c"], False)
    assert (second.lr_factor, second.weight_decay) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({}, ("stop", 0.0)),
        ({"on_spike": "skip"}, ("skip", 20.0)),
        ({"on_spike": "rerun"}, ("rerun", 20.0)),
        ({"on_spike": "rerun", "spike_deviations": 0.0}, ("rerun", 0.0)),
        ({"spike_deviations": 5.0}, ("stop", 5.0)),
    ],
)
def test_what_is_a_spike_depends_on_what_is_done_then(fault, expected):
    config = make_config(
        fault={**fault, "spike_window": 9, "most_skips": 7, "hash_every": 11}
    )
    engine = engine_config(config)
    spikes = engine.spikes
    assert (spikes.on_spike, spikes.deviations) == expected
    assert (spikes.window, spikes.most_skips) == (9, 7)
    assert engine.hash_every == 11


def test_how_answers_are_preferred():
    def preference(*overrides):
        return preference_config(resolve(load_config(None, overrides)))

    assert preference() is None
    dpo = "train.objective=dpo"
    found = preference(dpo, "adapter.rank=2", "dpo.beta=0.2")
    assert (found.beta, found.variant) == (0.2, "sigmoid")
    assert not found.stored_reference
    assert preference(dpo).stored_reference
    assert preference(
        dpo, "adapter={rank: 2, modules_to_save: [embedding, head]}"
    ).stored_reference
    with pytest.raises(ValueError, match=r"dpo\.beta=0\.2 has no meaning"):
        preference("dpo.beta=0.2")
    with pytest.raises(ValueError, match=r"data\.documents=joined: pairs"):
        preference(dpo, "data.documents=joined")
