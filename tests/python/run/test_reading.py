from types import SimpleNamespace

import pytest

from eisbach import _C
from eisbach.config import load_config
from eisbach.data.prepare import write_token_file
from eisbach.data.sources import Mixture
from eisbach.data.tokenizer import ByteTokenizer
from eisbach.run.reading import what_is_read


@pytest.fixture
def said(tmp_path):
    """What a run of some steps of 8 samples of 10 tokens says of its text."""
    weights = {"books": 3.0, "web": 1.0}
    for name, length in (("books", 101), ("web", 401)):
        text = b"x" * length
        write_token_file(tmp_path / name, [text], ByteTokenizer())

    def said(steps, *names, documents="auto"):
        sources = [(str(tmp_path / name), weights[name]) for name in names]
        mixture = Mixture(*map(list, zip(*sources, strict=True)), None)
        listed = [f"{{path: {n}, weight: {weights[n]}}}" for n in names]
        train = f"[{', '.join(listed)}]" if len(names) > 1 else names[0]
        config = load_config(
            None,
            [
                f"train.steps={steps}",
                "train.global_batch=8",
                "model.context=10",
                "model.vocab=256",
                f"data.train={train}",
                f"data.documents={documents}",
            ],
        )
        corpus = _C.Corpus(
            sources, context=10, vocab=256, seed=1, documents=documents
        )
        job = SimpleNamespace(config=config, sources=mixture, corpus=corpus)
        return list(what_is_read(job))

    return said


def test_a_run_tells_what_it_sees(said):
    assert said(5, "books") == [
        "text: 101 tokens, 10 samples; the run sees 400 tokens, 40 samples: "
        "4.00 x the text"
    ]
    assert said(5, "books", "web") == [
        "text: 502 tokens, 50 samples; the run sees 400 tokens, 40 samples: "
        "3.00 x, 0.25 x"
    ]


def test_text_that_is_seen_too_often_is_noted(said):
    (_, note) = said(10, "books", "web")
    assert note.startswith("note: the run sees books 6.0 times")
    assert note.endswith("or train.steps=8")
    (_, note) = said(1000, "web")
    assert "web 200.0 times" in note
    assert note.endswith("train.steps=25")


def test_rows_of_separate_documents_are_told(said):
    assert said(2, "books", documents="separate")[1:] == [
        "samples are packed of separate documents; 101 of the tokens are "
        "trained",
        "note: 1 documents are longer than model.context=10 and cut into "
        "pieces, of which none sees another",
    ]
