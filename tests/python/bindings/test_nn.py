"""Layers composed in Python against the same model in the engine."""

import gc
from types import SimpleNamespace

import numpy as np
import pytest

from eisbach import _C, nn


class Composed(nn.Module):
    """The engine's model, under the same names: equal initial values."""

    def __init__(self, model, device, *, recompute=False):
        gpt = model.family == "gpt"
        width = model.hidden // model.heads
        rope = None
        if not gpt:
            rope = nn.rope_table(model.context, width, device)
        table = _C.Parameter("embedding.token.weight", (61, model.hidden))
        self.embedding = nn.Embedding(table)
        self.positions = gpt and nn.PositionEmbedding(
            "embedding.position", model.context, model.hidden
        )
        self.blocks = [
            nn.Block(
                f"blocks.{i}",
                model.hidden,
                model.heads,
                kv_heads=model.kv_heads,
                ffn_hidden=model.ffn_hidden,
                norm="layer" if gpt else "rms",
                activation="gelu" if gpt else "swiglu",
                bias=gpt,
                output_stddev=0.02 / (2 * model.layers) ** 0.5,
                rope=rope,
                recompute=recompute,
            )
            for i in range(model.layers)
        ]
        self.norm = nn.Norm(
            "final_norm", model.hidden, kind="layer" if gpt else "rms"
        )
        self.head = nn.Head(table)

    def hidden(self, tokens, context):
        x = self.embedding(tokens, context)
        if self.positions:
            x = self.positions(x, context)
        for block in self.blocks:
            x = block(x, context)
        return self.norm(x, context)


@pytest.fixture
def pair(make):
    """An engine and the same model composed, with an update of its own."""

    def pair(family, **options):
        engine = make.engine(family=family, kv_heads=2)
        model = Composed(engine.config.model, make.world.device, **options)
        update = _C.Update(
            model.parameters(),
            engine.config.update,
            make.context,
            sums=engine.micro_batches,
        )
        return SimpleNamespace(engine=engine, model=model, update=update)

    return pair


def step(update, model, batch, micro_batches, scale):
    graph = _C.Graph()
    update.begin_step(micro_batches)
    rows = len(batch.tokens) // micro_batches
    for i in range(micro_batches):
        tokens, targets, samples = (
            part.narrow(0, i * rows, rows)
            for part in (batch.tokens, batch.targets, batch.samples)
        )
        context = update.forward_context(training=True, samples=samples)
        with graph:
            x = model.hidden(tokens, context)
            loss = model.head.loss(x, targets, context, scale)
        graph.backward(loss)
        update.set_sum(i, loss)
    update.finish()
    return sum(update.sums), update.grad_norm


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("family", ["gpt", "llama"])
def test_a_composed_model_trains_as_the_engine_does(
    make, pair, family, recompute
):
    both = pair(family, recompute=recompute)
    rng = make.rng(3)
    model = both.engine.config.model
    for _ in range(5):
        _, batch = make.batch(both.engine, rng)
        expected = both.engine.step(batch)
        loss, norm = step(
            both.update, both.model, batch, 2, 1 / (8 * model.context)
        )
        assert loss == pytest.approx(expected.loss, rel=1e-6)
        assert norm == pytest.approx(expected.grad_norm, rel=1e-5)


def test_logits_are_those_of_the_engine(make, pair):
    both = pair("gpt")
    tokens, batch = make.batch(both.engine, make.rng(4))
    context = both.update.forward_context()
    logits = both.model.head.logits(
        both.model.hidden(batch.tokens, context), context
    )
    expected = both.engine.logits(batch.tokens)
    assert logits.shape == (*tokens[:, 1:].shape, 61)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


def test_parameters_are_in_the_order_of_forward(make, pair):
    both = pair("gpt")
    names = [p.name for p in both.model.parameters()]
    assert names[0] == names[-1] == "embedding.token.weight"
    own = [p.name for p in both.engine.parameters]
    assert names[:-1] == own


def test_a_layer_outlives_what_made_it(make):
    table = _C.Parameter("t", (7, 4))
    embedding, head = nn.Embedding(table), nn.Head(table)
    parameters = embedding.parameters() + head.parameters()
    del table
    gc.collect()
    assert {p.name for p in parameters} == {"t"}
    norm = nn.Norm("n", 4)
    (scale, shift) = norm.parameters()
    del norm
    gc.collect()
    assert (scale.name, shift.name) == ("n.weight", "n.bias")


def test_dropout_depends_on_step_and_sample(make):
    linear = nn.Linear("l", 8, 8)
    update = _C.Update(linear.parameters(), make.update_config(), make.context)
    dropout = nn.Dropout("d", 0.5)
    x = np.ones((3, 4, 8), np.float32)

    def kept(samples, training=True):
        samples = np.asarray(samples, np.int64)
        context = update.forward_context(
            training=training,
            samples=_C.Tensor.from_numpy(samples, make.world.device),
        )
        ours = _C.Tensor.from_numpy(x, make.world.device)
        return np.array(dropout(ours, context))

    update.begin_step()
    first = kept([0, 1, 2])
    assert set(np.unique(first)) == {0.0, 2.0}
    np.testing.assert_array_equal(first, kept([0, 1, 2]))
    np.testing.assert_array_equal(first[[2, 0, 1]], kept([2, 0, 1]))
    np.testing.assert_array_equal(kept([0, 1, 2], training=False), x)
    update.begin_step()
    assert (kept([0, 1, 2]) != first).any()


@pytest.mark.parametrize(
    ("make_layer", "reason"),
    [
        (lambda: nn.Attention("a", 10, 4), "heads=4"),
        (lambda: nn.Attention("a", 12, 4, kv_heads=3), "kv_heads=3"),
        (lambda: nn.Mlp("m", 8, 16, activation="relu"), "activation=relu"),
        (lambda: nn.Norm("n", 8, kind="batch"), "kind=batch"),
        (lambda: nn.Linear("l", 0, 8), "l: a size of 0"),
        (lambda: nn.Dropout("d", 1.0), "p=1"),
        (lambda: nn.Embedding(_C.Parameter("t", (4,))), "no table"),
    ],
)
def test_sizes_that_do_not_fit(make_layer, reason):
    with pytest.raises(ValueError, match=reason):
        make_layer()


def test_a_layer_without_memory_is_an_error(make):
    context = nn.ForwardContext(make.world.device)
    x = _C.Tensor.zeros((1, 2, 8), "f32", make.world.device)
    with pytest.raises(RuntimeError, match=r"l\.weight has no memory"):
        nn.Linear("l", 8, 8)(x, context)
    with pytest.raises(ValueError, match="samples"):
        nn.ForwardContext(make.world.device, training=True)


def test_two_layers_of_one_name_are_refused(make):
    config = make.update_config()
    for second in (
        nn.Linear("a", 8, 8),
        nn.Linear("a", 2, 3, bias=False),
        _C.Parameter("a.weight", (5,)),
    ):
        model = nn.Module()
        model.layers = [nn.Linear("a", 8, 8), nn.Linear("b", 8, 8), second]
        with pytest.raises(ValueError, match=r"0 \(a.weight .* a.weight"):
            _C.Update(model.parameters(), config, make.context)
    model.layers = [
        nn.Block("c", 8, 2, dropout=0.5),
        nn.Dropout("drop", 0.5),
        nn.Dropout("c.mlp", 0.5),
    ]
    with pytest.raises(ValueError, match=r"the name 'c\.mlp'"):
        model.parameters()
    model.layers[2] = model.layers[1]
    assert len(model.parameters()) == 12


def test_a_parameter_is_in_one_update_at_a_time(make):
    layer = nn.Linear("a", 8, 8)
    config = make.update_config()
    update = _C.Update(layer.parameters(), config, make.context)
    with pytest.raises(ValueError, match=r"a\.weight is in use by another"):
        _C.Update(layer.parameters(), config, make.context)
    del update
    gc.collect()
    _C.Update(layer.parameters(), config, make.context)


def test_a_module_is_called_by_its_forward(make):
    class Double(nn.Module):
        def forward(self, x, *, times=1):
            return [x] * 2 * times

    assert Double()(3, times=2) == [3, 3, 3, 3]
    with pytest.raises(NotImplementedError, match="Module is called and"):
        nn.Module()(1)


def test_documents_in_a_row_are_each_for_themselves(make):
    device = make.world.device
    model = nn.Module()
    model.layers = [
        nn.PositionEmbedding("positions", 8, 16),
        nn.Attention("attention", 16, 2, rope=nn.rope_table(8, 8, device)),
    ]
    update = _C.Update(model.parameters(), make.update_config(), make.context)
    x = np.random.default_rng(0).standard_normal((1, 6, 16), np.float32)

    def run(x, starts=None):
        if starts is not None:
            rows = np.array([starts], np.int32)
            starts = _C.Tensor.from_numpy(rows, device)
        context = update.forward_context(starts=starts)
        y = _C.Tensor.from_numpy(x.copy(), device)
        for layer in model.layers:
            y = layer(y, context)
        return y.numpy()

    packed = run(x, [0, 0, 2, 2, 2, 2])
    np.testing.assert_allclose(packed[:, :2], run(x[:, :2]), atol=1e-6)
    np.testing.assert_allclose(packed[:, 2:], run(x[:, 2:]), atol=1e-6)
    assert np.abs(packed - run(x))[:, 2:].max() > 1e-3
    with pytest.raises(ValueError, match=r"starts\[0, 1\]=3"):
        run(x, [0, 3, 3, 3, 3, 3])
    context = nn.ForwardContext(
        device, starts=_C.Tensor.from_numpy(np.zeros((1, 5), np.int32), device)
    )
    with pytest.raises(ValueError, match="starts"):
        model.layers[1](_C.Tensor.from_numpy(x, device), context)
