"""An update of one's own parameters."""

import json

import numpy as np
import pytest

from eisbach import _C, nn


class Line(nn.Module):
    """y = x w^T + b; the loss is given by its gradient."""

    def __init__(self):
        self.layer = nn.Linear("line", 4, 3)

    def forward(self, x, context):
        return self.layer(x, context)


@pytest.fixture
def line(make):
    """Makes a model, its update, and what does a step of them."""

    def line(**changes):
        model = Line()
        config = make.update_config(**changes)
        update = _C.Update(model.parameters(), config, make.context)
        graph = _C.Graph()

        def step(seed):
            rng = np.random.default_rng(seed)
            x, dy = (
                _C.Tensor.from_numpy(
                    rng.standard_normal((1, 2, n)).astype(np.float32),
                    make.world.device,
                ).astype(config.compute_dtype)
                for n in (4, 3)
            )
            update.begin_step()
            with graph:
                y = model(x, update.forward_context())
            graph.backward([y], [dy])
            update.finish()
            return weights()

        def weights():
            return [np.array(p.master) for p in model.parameters()]

        return update, step, weights

    return line


def equal(found, expected):
    for value, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(value, other)


@pytest.mark.parametrize("compute", ["f32", "bf16", "f16"])
def test_a_checkpoint_goes_on_bitwise(line, tmp_path, compute):
    update, step, _ = line(compute_dtype=compute)
    for seed in range(3):
        step(seed)
    path = update.save(
        str(tmp_path), config='{"width": 4}', state='{"position": 12}'
    )
    assert path == str(tmp_path / "step-00000003")
    expected = [step(seed) for seed in range(3, 6)]
    other, again, weights = line(compute_dtype=compute, seed=9)
    before = weights()
    with pytest.raises(ValueError, match="width"):
        other.load(path, config='{"width": 5}')
    equal(weights(), before)
    state = other.load(path, config='{"width": 4}')
    assert json.loads(state) == {"position": 12}
    assert other.step == 3
    assert other.loss_scale == update.loss_scale
    for seed, wanted in zip(range(3, 6), expected, strict=True):
        equal(again(seed), wanted)


def test_a_learning_rate_that_is_set_is_taken(line):
    _, step, _ = line(learning_rate=1e-2)
    update, other, _ = line(learning_rate=3e-4)
    update.learning_rate = 1e-2
    assert update.learning_rate == 1e-2
    equal(other(0), step(0))
    update.learning_rate = 0
    before = other(1)
    equal(other(2), before)
    update.learning_rate = None
    assert update.learning_rate == 3e-4
    for value in (-1e-3, float("nan"), float("inf"), 1e39):
        with pytest.raises(ValueError, match="learning_rate="):
            update.learning_rate = value


def test_a_step_past_the_end_of_the_schedule_says_so(make):
    config = make.update_config()
    schedule = _C.ScheduleConfig(
        name="cosine",
        learning_rate=1e-3,
        min_learning_rate=0.0,
        warmup_steps=0,
        total_steps=2,
    )
    config = _C.UpdateConfig(
        optimizer=config.optimizer,
        schedule=schedule,
        clip_grad_norm=1.0,
        compute_dtype="f32",
        bucket_bytes=2**16,
        seed=1,
    )
    layer = nn.Linear("line", 4, 3)
    update = _C.Update(layer.parameters(), config, make.context)
    update.step = 1
    update.begin_step()
    with pytest.raises(
        ValueError,
        match="step 3 is past the end of the cosine schedule, which has 2",
    ):
        update.begin_step()
    assert update.step == 2
    update.learning_rate = 1e-4
    update.begin_step()
    assert (update.step, update.learning_rate) == (3, 1e-4)
