import math

import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_equals_pytorch(make, momentum):
    weight = _C.Parameter("w", (3, 4))
    config = make.update_config(
        name="sgd", momentum=momentum, learning_rate=0.1, clip_grad_norm=0.0
    )
    update = _C.Update([weight], config, make.context)
    theirs = torch.nn.Parameter(torch.tensor(np.array(weight.master)))
    optimizer = torch.optim.SGD(
        [theirs], lr=0.1, momentum=momentum, weight_decay=0.1
    )
    rng = make.rng(0)
    for _ in range(5):
        x = rng.standard_normal((2, 4)).astype(np.float32)
        dy = rng.standard_normal((2, 3)).astype(np.float32)
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
        np.testing.assert_allclose(
            weight.master, theirs.detach().numpy(), rtol=1e-5, atol=1e-6
        )
