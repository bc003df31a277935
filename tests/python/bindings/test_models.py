import numpy as np
import pytest

from eisbach import _C


def test_sizes_are_counted(make):
    engine = make.engine(family="llama", kv_heads=2, tie_embeddings=False)
    model = engine.config.model
    assert model.parameters == sum(v.size for v in engine.gather().values())
    tied = make.engine_config(family="gpt").model
    assert tied.parameters < model.parameters + tied.context * tied.hidden
    assert model.flops_per_token > 6 * 2 * model.hidden * model.hidden


def test_sizes_that_do_not_fit_name_the_key(make):
    with pytest.raises(ValueError, match=r"heads=5 .*\(model\.heads\)"):
        make.engine_config(heads=5, kv_heads=5)
    with pytest.raises(ValueError, match="bert"):
        make.engine_config(family="bert")


def test_the_likeliest_continuation(make):
    engine = make.engine()
    prompt = [3, 1, 4]
    made = engine.generate(prompt, tokens=40, temperature=0)
    assert len(made) == 40
    text = prompt + made
    # By hand, over the window of 32 tokens that the model sees.
    for i in range(len(prompt), len(text)):
        window = np.array([text[max(0, i - 32) : i]], np.int32)
        logits = engine.logits(_C.Tensor.from_numpy(window, engine.device))
        assert np.array(logits)[0, -1].argmax() == text[i]


def test_draws_depend_on_the_seed(make):
    engine = make.engine()
    drawn = [engine.generate([1], tokens=30, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    few = engine.generate([1], tokens=30, top_k=1, seed=5)
    assert few == engine.generate([1], tokens=30, temperature=0)
    stop = drawn[0][10]
    stopped = engine.generate([1], tokens=30, seed=1, stop=stop)
    assert stopped == drawn[0][: drawn[0].index(stop)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": [61]}, "token 61"),
        ({"prompt": [-1]}, "token -1"),
        ({"temperature": -1.0}, "temperature=-1"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"top_k": -1}, "top_k=-1"),
    ],
)
def test_what_cannot_be_continued(make, changes, reason):
    arguments = {"prompt": [1], "tokens": 2, **changes}
    with pytest.raises(ValueError, match=reason):
        make.engine().generate(arguments.pop("prompt"), **arguments)
