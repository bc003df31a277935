import numpy as np
import pytest

from eisbach import _C
from eisbach.config import load_config, resolve
from eisbach.core_config import engine_config
from eisbach.data.tokenizer import load_tokenizer
from eisbach.export import export_model, import_parameters

SIZES = (
    "model={layers: 2, hidden: 48, heads: 6, context: 16, vocab: 61, "
    "norm_eps: 1.0e-5}"
)


@pytest.fixture(scope="module")
def context():
    return _C.ParallelContext(_C.init(), _C.Mesh(1))


@pytest.fixture
def make(context):
    def make(*options):
        options = [SIZES, "precision.compute=f32", *options]
        config = resolve(load_config(None, options))
        engine = _C.Engine(engine_config(config), context)
        rng = np.random.default_rng(5)
        engine.scatter(
            {
                name: rng.standard_normal(value.shape) * 0.2
                for name, value in engine.gather().items()
            }
        )
        return config, engine

    return make


def _tokens(config):
    rng = np.random.default_rng(6)
    shape = 3, config.model.context
    return rng.integers(0, config.model.vocab, shape, dtype=np.int32)


@pytest.mark.parametrize("tie", ["true", "false"])
@pytest.mark.parametrize("kv_heads", [6, 2])
@pytest.mark.parametrize("family", ["gpt", "llama"])
def test_transformers_computes_the_same_logits(
    make, tmp_path, family, kv_heads, tie
):
    import torch
    import transformers

    config, engine = make(
        f"model.family={family}",
        f"model.kv_heads={kv_heads}",
        f"model.tie_embeddings={tie}",
    )
    parameters = engine.gather()
    export_model(tmp_path, config, parameters, load_tokenizer("bytes"))
    net = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    tokens = _tokens(config)
    ours = engine.logits(_C.Tensor.from_numpy(tokens, engine.device)).numpy()
    with torch.no_grad():
        theirs = net(torch.from_numpy(tokens).long()).logits.numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)

    again = import_parameters(tmp_path, config)
    assert again.keys() == parameters.keys()
    for name, value in parameters.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


def test_an_export_of_another_model_is_an_error(make, tmp_path):
    config, engine = make("model.family=gpt")
    export_model(tmp_path, config, engine.gather(), load_tokenizer("bytes"))
    larger = config.derive("model.layers", 3, "test")
    with pytest.raises(ValueError, match="3 layers"):
        import_parameters(tmp_path, larger)
