from types import SimpleNamespace

import pytest

from eisbach.sampling import load_model, printable, sample


def test_control_characters_are_spelled():
    text = "a\n\tb\x1b[2J\r\x7f\x85 ü☃"
    assert printable(text) == "a\n\t" r"b\x1b[2J\x0d\x7f\x85 ü☃"


class _Words:
    """A word a token; decoding puts spaces between, none before."""

    begin_of_document = (0,)

    def prompt(self, text):
        return [*self.begin_of_document, *map(int, text.split())]

    def decode(self, tokens):
        return " ".join(map(str, tokens))


def _model(made, ends):
    asked = []

    def generate(ids, **options):
        asked.append((ids, options["stop"]))
        return made

    return asked, SimpleNamespace(
        tokenizer=_Words(), engine=SimpleNamespace(generate=generate), ends=ends
    )


_OPTIONS = {"tokens": 4, "temperature": 0.0, "top_k": 0, "seed": 0}


def test_prompt_and_continuation_are_one_text():
    """The first word is not glued to the prompt; the begin is not shown."""
    asked, model = _model([3, 4], ends=())
    assert sample(model, "1 2", **_OPTIONS) == "1 2 3 4"
    assert asked == [([0, 1, 2], None)]


def test_any_end_of_a_document_stops():
    asked, model = _model([3, 8, 5, 9], ends=(9, 8))
    assert sample(model, "1", **_OPTIONS) == "1 3"
    assert asked == [([0, 1], 9)]


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
