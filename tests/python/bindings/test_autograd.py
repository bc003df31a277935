"""Functions and graphs as Python uses them, gradients against PyTorch."""

import gc

import numpy as np
import pytest
import torch

from eisbach import _C
from eisbach._C import functional


@pytest.fixture(scope="module")
def device(world):
    return world.device


def tensor(device, *shape, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape)
    return _C.Tensor.from_numpy(values.astype(np.float32), device)


@pytest.fixture
def bound(make):
    """Parameters with random values, in an update that has begun a step."""

    def bound(**shapes):
        parameters = {n: _C.Parameter(n, s) for n, s in shapes.items()}
        update = _C.Update(
            list(parameters.values()), make.update_config(), make.context
        )
        for i, parameter in enumerate(parameters.values()):
            rng = np.random.default_rng(i)
            values = parameter.master.numpy()
            values[...] = rng.standard_normal(values.shape)
        update.begin_step()
        return update, parameters

    return bound


def torch_of(value):
    return torch.from_numpy(np.array(value)).requires_grad_()


def close(ours, theirs):
    np.testing.assert_allclose(
        np.asarray(ours), theirs.detach().numpy(), rtol=1e-5, atol=1e-5
    )


UNARY = {
    "gelu": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "swiglu": lambda x: torch.nn.functional.silu(x[..., :4]) * x[..., 4:],
    "softmax": lambda x: torch.softmax(x, -1),
}


@pytest.mark.parametrize("name", UNARY)
def test_a_function_of_one_tensor(device, name):
    x = tensor(device, 3, 5, 8)
    graph = _C.Graph()
    with graph:
        leaf = graph.leaf(x)
        y = getattr(functional, name)(leaf)
    theirs = torch_of(x)
    expected = UNARY[name](theirs)
    close(y, expected)
    dy = tensor(device, *y.shape, seed=1)
    graph.backward([y], [dy])
    expected.backward(torch.from_numpy(np.array(dy)))
    close(graph.gradient(leaf), theirs.grad)


def test_linear_and_norms(device, bound):
    _, p = bound(w=(6, 8), b=(6,), scale=(8,), shift=(8,))
    x = tensor(device, 2, 3, 8)
    graph = _C.Graph()
    with graph:
        leaf = graph.leaf(x)
        normed = functional.layer_norm(leaf, p["scale"], p["shift"], eps=1e-3)
        y = functional.linear(normed, p["w"], p["b"])
    dy = tensor(device, *y.shape, seed=1)
    graph.backward([y], [dy])

    t = {name: torch_of(v.master) for name, v in p.items()}
    theirs = torch_of(x)
    norm = torch.nn.functional.layer_norm
    expected = torch.nn.functional.linear(
        norm(theirs, (8,), t["scale"], t["shift"], eps=1e-3), t["w"], t["b"]
    )
    expected.backward(torch.from_numpy(np.array(dy)))
    close(y, expected)
    close(graph.gradient(leaf), theirs.grad)
    for name, parameter in p.items():
        close(parameter.grad, t[name].grad)


def test_rms_norm_and_add(device, bound):
    _, p = bound(scale=(8,))
    x = tensor(device, 4, 8)
    graph = _C.Graph()
    with graph:
        leaf = graph.leaf(x)
        y = functional.add(leaf, functional.rms_norm(leaf, p["scale"]))
    dy = tensor(device, 4, 8, seed=1)
    graph.backward([y], [dy])
    theirs, scale = torch_of(x), torch_of(p["scale"].master)
    expected = theirs + torch.nn.functional.rms_norm(
        theirs, (8,), scale, eps=1e-5
    )
    expected.backward(torch.from_numpy(np.array(dy)))
    close(y, expected)
    close(graph.gradient(leaf), theirs.grad)
    close(p["scale"].grad, scale.grad)


def test_attention_with_grouped_queries(device):
    heads, kv_heads, width = 4, 2, 8
    qkv = tensor(device, 2, 5, (heads + 2 * kv_heads) * width)
    graph = _C.Graph()
    with graph:
        leaf = graph.leaf(qkv)
        y = functional.attention(leaf, heads, kv_heads)
    dy = tensor(device, *y.shape, seed=1)
    graph.backward([y], [dy])
    theirs = torch_of(qkv)
    q, k, v = theirs.split([32, 16, 16], -1)
    q = q.unflatten(-1, (heads, width)).transpose(1, 2)
    k, v = (
        part.unflatten(-1, (kv_heads, width))
        .transpose(1, 2)
        .repeat_interleave(2, 1)
        for part in (k, v)
    )
    expected = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, is_causal=True
    )
    expected = expected.transpose(1, 2).flatten(2)
    expected.backward(torch.from_numpy(np.array(dy)))
    close(y, expected)
    close(graph.gradient(leaf), theirs.grad)


def test_embedding_and_cross_entropy(device, bound):
    _, p = bound(table=(11, 6), positions=(5, 6), head=(7, 6))
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 11, (2, 5), dtype=np.int32)
    wanted = rng.integers(0, 7, (2, 5), dtype=np.int32)
    wanted[1, :3] = -100
    graph = _C.Graph()
    with graph:
        x = functional.embedding(_C.Tensor.from_numpy(ids, device), p["table"])
        x = functional.add_position(x, p["positions"])
        logits = functional.linear(x, p["head"])
        loss = functional.cross_entropy(
            logits, _C.Tensor.from_numpy(wanted, device), 0.1
        )
    graph.backward(loss)
    t = {name: torch_of(v.master) for name, v in p.items()}
    hidden = t["table"][torch.from_numpy(ids).long()] + t["positions"]
    expected = 0.1 * torch.nn.functional.cross_entropy(
        (hidden @ t["head"].T).flatten(0, 1),
        torch.from_numpy(wanted).long().flatten(),
        reduction="sum",
    )
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for name, parameter in p.items():
        close(parameter.grad, t[name].grad)


def test_ids_outside_the_vocabulary_are_named(device, bound):
    _, p = bound(table=(11, 6))
    ids = np.zeros((2, 5), np.int32)
    logits = tensor(device, 2, 5, 7)
    for id in (-1, 11):
        ids[1, 3] = id
        with pytest.raises(
            ValueError,
            match=f"token {id} at position 3 of sample 1 is outside the "
            "vocabulary of 11",
        ):
            functional.embedding(_C.Tensor.from_numpy(ids, device), p["table"])
    ids[1, 3] = 7
    with pytest.raises(
        ValueError,
        match="target 7 at position 3 of sample 1 is outside the vocabulary",
    ):
        functional.cross_entropy(logits, _C.Tensor.from_numpy(ids, device))
    ids[...] = -100
    nothing = functional.cross_entropy(
        logits, _C.Tensor.from_numpy(ids, device)
    )
    assert nothing.item() == 0


def test_nothing_is_recorded_outside_of_a_graph(device):
    graph = _C.Graph()
    y = functional.gelu(tensor(device, 3))
    with pytest.raises(ValueError, match="recorded"):
        graph.backward(y)
    with graph:
        leaf = graph.leaf(tensor(device, 3))
        y = functional.gelu(leaf)
    # Used after the recording: a value like any other.
    assert functional.gelu(y).shape == (3,)


def test_a_tensor_of_an_earlier_recording_is_refused(device):
    graph, other = _C.Graph(), _C.Graph()
    with graph:
        old = functional.gelu(graph.leaf(tensor(device, 3)))
    with graph, pytest.raises(ValueError, match="another recording"):
        functional.gelu(old)
    with other, pytest.raises(ValueError, match="detach"):
        functional.gelu(old)
    with other:
        y = functional.gelu(old.detach())
    assert y.shape == (3,)
    with pytest.raises(ValueError, match="recorded last"):
        graph.backward(old)
    del graph
    gc.collect()
    with pytest.raises(ValueError, match="another recording"), other:
        functional.gelu(old)


def test_the_rules_of_a_recording(device):
    graph = _C.Graph()
    with pytest.raises(RuntimeError, match="inside"):
        graph.leaf(tensor(device, 3))
    with graph:
        leaf = graph.leaf(tensor(device, 3))
        y = functional.gelu(leaf)
        with pytest.raises(RuntimeError, match="after the `with`"):
            graph.backward(y)
        with pytest.raises(RuntimeError, match="already"):
            graph.__enter__()
    graph.backward([y], [tensor(device, 3)])
    with pytest.raises(RuntimeError, match="once"):
        graph.backward([y], [tensor(device, 3)])
    with pytest.raises(ValueError, match="no leaf"):
        graph.gradient(y)
    assert graph.gradient(leaf) is not None
    assert graph.gradient(leaf) is None


def test_parameters_live_as_long_as_what_records_them(device, bound):
    update, p = bound(w=(4, 3))
    graph = _C.Graph()
    with graph:
        y = functional.linear(graph.leaf(tensor(device, 2, 3)), p["w"])
    del p, update
    gc.collect()
    graph.backward([y], [tensor(device, 2, 4)])


def test_shapes_that_do_not_fit_are_errors(device, bound):
    _, p = bound(w=(4, 3))
    with pytest.raises(ValueError, match="8"):
        functional.linear(tensor(device, 2, 8), p["w"])
    with pytest.raises(ValueError, match="heads"):
        functional.attention(tensor(device, 1, 2, 10), 4)
    with pytest.raises(RuntimeError, match="before an Update"):
        functional.linear(tensor(device, 2, 3), _C.Parameter("w", (4, 3)))


def test_cross_entropy_in_f16_takes_the_loss_scale(make):
    weight = _C.Parameter("weight", [5, 4])
    config = make.update_config(compute_dtype="f16", initial_loss_scale=256.0)
    update = _C.Update([weight], config, make.context)
    x = _C.Tensor.from_numpy(np.ones((3, 4), np.float16), make.world.device)
    targets = _C.Tensor.from_numpy(
        np.array([0, 1, 4], np.int32), make.world.device
    )
    weight.master.numpy()[...] = 0
    update.refresh()
    update.begin_step()
    assert update.loss_scale == 256
    context = update.forward_context()
    graph = _C.Graph()
    with graph:
        logits = functional.linear(x, weight)
        with pytest.raises(ValueError, match="context"):
            functional.cross_entropy(logits, targets)
        loss = functional.cross_entropy(logits, targets, context=context)
    assert float(loss.numpy()[0]) == pytest.approx(3 * np.log(5), rel=1e-3)
    graph.backward(loss)
    # Each row's gradient is softmax - onehot, softmax a fifth.
    rows = np.array([0.6 - 1, 0.6 - 1, 0.6, 0.6, 0.6 - 1])
    expected = np.repeat(rows[:, None], 4, 1)
    np.testing.assert_allclose(weight.grad.numpy(), 256 * expected, rtol=2e-3)
    update.finish()
    assert update.grad_norm == pytest.approx(np.linalg.norm(expected), rel=2e-3)
