import numpy as np
import pytest

from eisbach import _C


def _greedy(decoder, prompts, **options):
    made = decoder.generate(prompts, temperature=0, **options)
    return [one.tokens for one in made]


def _scatter(engine, rng):
    engine.scatter(
        {
            name: rng.standard_normal(value.shape) * 0.2
            for name, value in engine.gather().items()
        }
    )


def test_the_likeliest_continuation_and_a_full_context(make):
    engine = make.engine()
    prompts = [[3, 1, 4], [1], list(range(31))]
    made = _C.Decoder(engine).generate(prompts, tokens=40, temperature=0)
    for prompt, one in zip(prompts, made, strict=True):
        text = prompt + one.tokens
        assert len(text) == engine.config.model.context
        assert one.end == "context"
        ids = _C.Tensor.from_numpy(np.array([text], np.int32), engine.device)
        likeliest = engine.logits(ids).numpy()[0].argmax(-1).tolist()
        assert likeliest[len(prompt) - 1 : -1] == one.tokens


def test_draws_depend_on_the_seed_and_the_number_of_the_prompt(make):
    decoder = _C.Decoder(make.engine())

    def draw(prompts, **options):
        made = decoder.generate(prompts, tokens=20, **options)
        return [one.tokens for one in made]

    drawn = [draw([[1]], seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    first, second = draw([[1], [1]], seed=1)
    assert [first] == drawn[0]
    assert first != second
    assert draw([[1]], seed=1, first_prompt=1) == [second]
    few = {"top_k": 1}, {"top_p": 1e-9}, {"min_p": 1.0}
    for options in few:
        drawn = draw([[1]], seed=5, **options)
        assert drawn == _greedy(decoder, [[1]], tokens=20)


def test_tokens_that_stop_a_text(make):
    decoder = _C.Decoder(make.engine())
    (whole,) = _greedy(decoder, [[1]], tokens=20)
    stop = whole[5]
    (one,) = decoder.generate([[1]], tokens=20, temperature=0, stops=[0, stop])
    assert one.tokens == whole[: whole.index(stop)] or 0 in whole
    assert one.end == "stop"


def test_a_callback_sees_each_token_and_ends_a_text(make):
    decoder = _C.Decoder(make.engine())
    told = []

    def on_token(prompt, token):
        told.append((prompt, token))
        return None if prompt else len(told) < 3

    made = decoder.generate(
        [[1], [2]], tokens=4, temperature=0, on_token=on_token
    )
    assert [len(one.tokens) for one in made] == [2, 4]
    assert [one.end for one in made] == ["caller", "tokens"]
    for prompt in (0, 1):
        assert [t for p, t in told if p == prompt] == made[prompt].tokens

    def interrupt(prompt, token):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decoder.generate([[1]], tokens=4, on_token=interrupt)
    assert _greedy(decoder, [[1]], tokens=4) == [
        _greedy(_C.Decoder(make.engine()), [[1]], tokens=4)[0]
    ]


def test_a_step_of_training_is_noticed(make):
    engine = make.engine()
    decoder = _C.Decoder(engine)
    prompt = list(range(20))
    before = _greedy(decoder, [prompt], tokens=9)
    _scatter(engine, make.rng(1))
    _, batch = make.batch(engine, make.rng(2))
    engine.step(batch)
    after = _greedy(decoder, [prompt], tokens=9)
    assert after == _greedy(_C.Decoder(engine), [prompt], tokens=9) != before
    _scatter(engine, make.rng(3))
    assert decoder.cache_bytes > 0
    decoder.forget()
    again = _greedy(decoder, [prompt], tokens=9)
    assert again == _greedy(_C.Decoder(engine), [prompt], tokens=9)


def test_memory_grows_with_the_text(make):
    decoder = _C.Decoder(make.engine())
    assert decoder.cache_bytes == 0
    _greedy(decoder, [[1, 2]], tokens=1)
    small = decoder.cache_bytes
    _greedy(decoder, [[1] * 20], tokens=1)
    assert decoder.cache_bytes == 10 * small


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prompts": [[]]}, "prompt: a prompt has at least one token"),
        ({"prompts": [[1], [3, 61]]}, "prompt 1: token 61 at position 1"),
        ({"prompts": [[-1]]}, "token -1"),
        ({"prompts": [[1] * 32]}, "longest that works: 31"),
        ({"temperature": -1.0}, "temperature=-1"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"top_k": -1}, "top_k=-1"),
        ({"top_p": 0.0}, "top_p=0"),
        ({"min_p": 1.5}, "min_p=1.5"),
        ({"repetition_penalty": 0.0}, "repetition_penalty=0"),
        ({"stops": [61]}, "stop=61"),
        ({"tokens": -1}, "tokens=-1"),
    ],
)
def test_what_cannot_be_continued(make, changes, reason):
    arguments = {"prompts": [[1]], "tokens": 2, **changes}
    with pytest.raises(ValueError, match=reason):
        _C.Decoder(make.engine()).generate(
            arguments.pop("prompts"), **arguments
        )


def test_losses_of_samples(make):
    engine = make.engine(global_batch=1, micro_batch=1)
    rng = make.rng(3)
    tokens = rng.integers(0, 61, (3, 9))
    targets = tokens[:, 1:].copy()
    targets[1, :4] = -1
    batch = _C.Batch(tokens[:, :-1], targets, engine.device)
    losses = engine.sample_losses(batch)
    assert sum(losses) == pytest.approx(engine.evaluate(batch) * 20)
    logits = engine.logits(
        _C.Tensor.from_numpy(tokens[:, :-1].astype(np.int32), engine.device)
    ).numpy()
    logits = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    for row, loss in enumerate(losses):
        expected = -sum(
            logits[row, t, target]
            for t, target in enumerate(targets[row])
            if target >= 0
        )
        assert loss == pytest.approx(expected, rel=1e-5)
    other = make.engine()
    _, batch = make.batch(other, rng)
    with pytest.raises(RuntimeError, match="micro_batch=1"):
        other.sample_losses(batch)
