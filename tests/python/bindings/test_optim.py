import math

import numpy as np
import pytest
import torch
import transformers

from eisbach import _C

SHAPES = {
    "constant": lambda t: 1.0,
    "linear": lambda t: 1 - 0.9 * t,
    "cosine": lambda t: 0.1 + 0.45 * (1 + math.cos(math.pi * t)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_learning_rates(name):
    schedule = _C.ScheduleConfig(
        name=name,
        learning_rate=1.0,
        min_learning_rate=0.1,
        warmup_steps=4,
        total_steps=24,
    )
    assert [schedule.at(step) for step in (1, 2, 4)] == [0.25, 0.5, 1.0]
    for step in (5, 14, 24, 30):
        t = min(1.0, (step - 4) / 20)
        assert schedule.at(step) == pytest.approx(SHAPES[name](t))


@pytest.mark.parametrize("decay", ["linear", "cosine", "sqrt"])
def test_wsd_is_that_of_transformers(decay):
    names = {"linear": "linear", "cosine": "cosine", "sqrt": "1-sqrt"}
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=2.0)
    theirs = transformers.get_wsd_schedule(
        optimizer,
        num_warmup_steps=5,
        num_decay_steps=8,
        num_training_steps=20,
        min_lr_ratio=0.1,
        decay_type=names[decay],
    )
    schedule = _C.ScheduleConfig(
        name="wsd",
        learning_rate=2.0,
        min_learning_rate=0.2,
        warmup_steps=5,
        total_steps=20,
        decay_steps=8,
        decay=decay,
    )
    for step in range(1, 21):  # theirs are counted from 0
        optimizer.step()
        theirs.step()
        want = theirs.get_last_lr()[0]
        if step >= 5:  # their warm-up begins at the lowest
            assert schedule.at(step) == pytest.approx(want, rel=1e-6), step


@pytest.mark.parametrize("factor", [1, 3])
def test_restarts_are_those_of_pytorch(factor):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=2.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        optimizer, T_0=7, T_mult=factor, eta_min=0.2
    )
    schedule = _C.ScheduleConfig(
        name="cosine_restarts",
        learning_rate=2.0,
        min_learning_rate=0.2,
        warmup_steps=0,
        total_steps=10,
        cycle_steps=7,
        cycle_factor=float(factor),
    )
    for step in range(1, 70):
        optimizer.step()
        theirs.step()
        want = theirs.get_last_lr()[0]
        assert schedule.at(step) == pytest.approx(want, rel=1e-6), step


def test_unknown_names_list_the_known(make):
    schedule = _C.ScheduleConfig(
        name="cosin",
        learning_rate=1.0,
        min_learning_rate=0.0,
        warmup_steps=0,
        total_steps=1,
    )
    with pytest.raises(ValueError, match="cosine"):
        schedule.at(1)
    with pytest.raises(ValueError, match="adamw"):
        make.engine(name="adam")


def train(make, update, weight, optimizer, theirs):
    """Trains a weight and its copy in PyTorch on equal gradients."""
    rng = make.rng(0)
    for _ in range(5):
        x = rng.standard_normal((16, weight.shape[1])).astype(np.float32)
        dy = rng.standard_normal((16, weight.shape[0])).astype(np.float32)
        update.begin_step()
        graph = _C.Graph()
        with graph:
            y = _C.functional.linear(
                _C.Tensor.from_numpy(x, make.world.device), weight
            )
        graph.backward([y], [_C.Tensor.from_numpy(dy, make.world.device)])
        update.finish()
        theirs.grad = torch.from_numpy(dy.T @ x)
        optimizer.step()


def copy_of(weight):
    return torch.nn.Parameter(torch.tensor(np.array(weight.master)))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_equals_pytorch(make, momentum):
    weight = _C.Parameter("w", (3, 4))
    config = make.update_config(
        name="sgd", momentum=momentum, learning_rate=0.1, clip_grad_norm=0.0
    )
    update = _C.Update([weight], config, make.context)
    theirs = copy_of(weight)
    optimizer = torch.optim.SGD(
        [theirs], lr=0.1, momentum=momentum, weight_decay=0.1
    )
    train(make, update, weight, optimizer, theirs)
    np.testing.assert_allclose(
        weight.master, theirs.detach().numpy(), rtol=1e-5, atol=1e-6
    )


# Theirs is computed in bf16, which small singular values show first; the C++
# test compares with the formula in double.
@pytest.mark.parametrize("scale", ["original", "match_rms_adamw"])
@pytest.mark.parametrize("shape", [(6, 6), (4, 10), (12, 5)])
def test_muon_is_near_pytorch(make, shape, scale):
    weight = _C.Parameter("w", shape)
    config = make.update_config(
        name="muon",
        momentum=0.95,
        learning_rate=0.1,
        clip_grad_norm=0.0,
        matrix_scale=scale,
    )
    update = _C.Update([weight], config, make.context)
    theirs = copy_of(weight)
    before = theirs.detach().numpy().copy()
    optimizer = torch.optim.Muon(
        [theirs],
        lr=0.1,
        momentum=0.95,
        weight_decay=0.1,
        adjust_lr_fn=scale,
    )
    train(make, update, weight, optimizer, theirs)
    want = theirs.detach().numpy()
    apart = np.linalg.norm(weight.master - want)
    assert apart < 0.15 * np.linalg.norm(want - before)
