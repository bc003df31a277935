from types import SimpleNamespace

import pytest

from eisbach.sampling import (
    Reply,
    SamplingOptions,
    beginning,
    generate,
    load_model,
    printable,
    prompt_ids,
)


def test_control_characters_are_spelled():
    text = "a\n\tb\x1b[2J\r\x7f\x85 ü☃"
    assert printable(text) == "a\n\t" r"b\x1b[2J\x0d\x7f\x85 ü☃"


@pytest.mark.parametrize(
    ("targets", "starts", "begins"),
    [
        ([2, 3, 4, 5, 6, 7], None, [1, 2, 3]),  # a text: half of it
        ([-1, -1, 4, 5, -1, 7], None, [1, 2, 3]),  # before the first answer
        ([-1, 3, 4, -1, 6, 7], [0, 0, 0, 3, 3, 3], [1, 2]),
        ([2, 3, -1, 5, 6, 7], [0, 0, 0, 3, 3, 3], [1]),  # of its document
    ],
)
def test_a_run_shows_what_comes_before_the_first_answer(
    targets, starts, begins
):
    import numpy as np

    def held(values):
        return SimpleNamespace(numpy=lambda: np.array([values]))

    batch = SimpleNamespace(
        tokens=held([1, 2, 3, 4, 5, 6]),
        targets=held(targets),
        starts=None if starts is None else held(starts),
    )
    assert beginning(batch) == begins


class _Words:
    """A word a token; decoding puts spaces between, none before."""

    begin_of_document = (0,)

    def prompt(self, text):
        return [*self.begin_of_document, *map(int, text.split())]

    def decode(self, tokens):
        return " ".join(map(str, tokens))


def _model(*texts, end="tokens"):
    """A model that says these texts, and what it was asked."""
    asked = []

    def generate(prompts, on_token, **options):
        asked.append((prompts, options))
        made = []
        for index, text in enumerate(texts[: len(prompts)]):
            told = []
            why = end
            for token in text:
                told.append(token)
                if not on_token(index, token):
                    why = "caller"
                    break
            made.append(SimpleNamespace(tokens=told, end=why))
        return made

    decoder = SimpleNamespace(generate=generate)
    return asked, SimpleNamespace(
        tokenizer=_Words(), decoder=decoder, ends=(9, 8)
    )


def test_the_first_word_is_not_glued_to_the_prompt():
    _, model = _model([3, 4])
    shown = []
    (reply,) = generate(
        model,
        [prompt_ids(model, "1 2")],
        SamplingOptions(),
        on_text=lambda *told: shown.append(told),
    )
    assert reply == Reply(" 3 4", 2, "tokens")
    assert shown == [(0, " 3"), (0, " 4")]


def test_options_reach_the_core():
    asked, model = _model([3], [4])
    options = SamplingOptions(tokens=7, top_p=0.5, seed=3)
    generate(model, [[0, 1], [0, 2]], options, first=16)
    ((prompts, given),) = asked
    assert prompts == [[0, 1], [0, 2]]
    assert given == {
        "tokens": 7,
        "temperature": 0.8,
        "top_k": 40,
        "top_p": 0.5,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "seed": 3,
        "first_prompt": 16,
        "stops": [9, 8],
    }


def test_a_stop_string_ends_one_text_alone():
    _, model = _model([3, 4, 5, 6], [7, 7], end="context")
    replies = generate(
        model, [[1], [2]], SamplingOptions(stops=("4 5",)), first=0
    )
    assert replies == [Reply(" 3 ", 3, "stop"), Reply(" 7 7", 2, "context")]


def test_an_empty_prompt():
    _, model = _model()
    with pytest.raises(ValueError, match="the prompt is empty"):
        prompt_ids(model, "")


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("running", "the run goes on"),
        ("finished", "removed; `eisbach train --resume {run}` writes it again"),
        ("stopped", "has not come to its end"),
        ("failed", "has not come to its end"),
        ("", "has not come to its end"),
    ],
)
def test_a_run_without_a_model_says_how_to_get_one(
    tmp_path, monkeypatch, state, says, saved
):
    """Of its checkpoint, but only where there is one."""
    monkeypatch.setattr("eisbach.sampling.standing", lambda folder: state)
    (tmp_path / "config.yaml").write_text("")
    if saved:
        (tmp_path / "checkpoints" / "step-00000007").mkdir(parents=True)
    with pytest.raises(ValueError, match="no model: ") as caught:
        load_model(tmp_path)
    told = str(caught.value)
    assert says.format(run=tmp_path) in told
    export = f"`eisbach export {tmp_path}` makes one of its newest checkpoint"
    assert (f"{export}, of step 7" in told) == saved
    assert ("no checkpoint of it either" in told) != saved
