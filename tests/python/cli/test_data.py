import gzip
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eisbach import _C
from eisbach.cli.app import app


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Runs `eisbach data prepare` in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def prepare(*arguments, **options):
        done = CliRunner().invoke(
            app, ["data", "prepare", *arguments], **options
        )
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return prepare


def text_of(prefix):
    return [bytes(d.tolist()).decode() for d in _C.TokenFile(prefix)]


def test_a_folder(prepare, tmp_path):
    (tmp_path / "books").mkdir()
    for name in ("a.txt", "b.md", "c.tex", "d.h", "e.png"):
        (tmp_path / "books" / name).write_text(name * 40)
    said = prepare("books", "--output", "data/books", "--validation", "0.1")
    assert "books: took 1 .md, 1 .txt; left out 1 .h, 1 .png, 1 .tex" in said
    assert "data/books: 2 documents, 324 tokens, 324 bytes" in said
    assert "data/books-validation: 2 documents, 36 tokens" in said
    assert "the last part of each document" in said

    prepare(
        "books", "--output", "x.bin", "--pattern", "*.tex", "--pattern", "*.h"
    )
    assert text_of("x") == ["c.tex" * 40, "d.h" * 40]
    assert sorted(p.name for p in tmp_path.glob("x*")) == [
        "x.bin",
        "x.idx",
        "x.json",
    ]
    with pytest.raises(ValueError, match=r"x\.json exists; --force"):
        prepare("books", "--output", "x")
    prepare("books", "--output", "x", "--force")
    assert len(text_of("x")) == 2


def test_options_of_records(prepare, tmp_path):
    rows = ['{"body": "one"}', "{", '{"body": "two"}']
    (tmp_path / "a.jsonl.gz").write_bytes(
        gzip.compress("\n".join(rows).encode())
    )
    fixed = ("a.jsonl.gz", "--output", "a", "--field", "body")
    with pytest.raises(ValueError, match=r"a\.jsonl\.gz:2: no JSON"):
        prepare(*fixed)
    said = prepare(*fixed, "--bad-lines", "skip")
    assert "left out 1 bad records; the first: a.jsonl.gz:2: no JSON" in said
    assert text_of("a") == ["one", "two"]


def test_the_standard_input(prepare, tmp_path):
    prepare("-", "--output", "a", "--format", "csv", input="text;n\nü;1\n")
    assert text_of("a") == ["ü"]
    info = json.loads((tmp_path / "a.json").read_text())
    assert (info["source"], info["encodings"]) == (["-"], {"utf-8": 1})


def test_encodings(prepare, tmp_path):
    (tmp_path / "a.txt").write_bytes("Grüße".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.txt: .*--encoding"):
        prepare("a.txt", "--output", "a")
    prepare("a.txt", "--output", "a", "--encoding", "latin-1")
    assert text_of("a") == ["Grüße"]


def test_rules_of_documents(prepare, tmp_path, special):
    (tmp_path / "a.txt").write_text("a<stop>b")
    fixed = ("a.txt", "--force", "--output", "a", "--tokenizer", special)

    def ids(*options):
        prepare(*fixed, *options)
        return _C.TokenFile("a")[0].tolist()

    assert ids()[0] == ids()[-1] == 0  # the template's, and the usual name
    assert ids("--begin-of-document", "none")[0] != 0
    assert ids("--begin-of-document", "<stop>")[0] == 1
    assert ids("--end-of-document", "<stop>")[-1] == 1
    assert 1 not in ids()
    assert ids("--special-tokens", "tokens").count(1) == 1


def test_new_tokens(prepare, tmp_path, special):
    """A run that adds the same ones takes the files."""
    from eisbach.config import load_config
    from eisbach.data.sources import run_tokenizer

    (tmp_path / "a.txt").write_text("say hello<tool>" * 40)
    new = ("--add-token", "hello", "--add-special-token", "<tool>")
    tokens = ("--special-tokens", "tokens", "--tokenizer", special)
    prepare("a.txt", "--output", "a", *new, *tokens)
    vocab = 258  # of the tokenizer
    found = _C.TokenFile("a")[0].tolist()
    assert found.count(vocab) == found.count(vocab + 1) == 40
    keys = [
        "data={train: a, validation: none, tokenizer: tokenizer.json}",
        "model.context=8",
    ]
    adds = ["model={add_tokens: [hello], add_special_tokens: [<tool>]}"]
    assert run_tokenizer(load_config(None, keys + adds)).vocab == vocab + 2
    with pytest.raises(ValueError, match="not made by data"):
        run_tokenizer(load_config(None, keys))


@pytest.fixture
def special(tmp_path):
    """A tokenizer of bytes with a template."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<|endoftext|>", "<stop>", *alphabet]
    vocab = {name: i for i, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocab, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(names[:2])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return str(tmp_path / "tokenizer.json")


def test_what_cannot_be_done_is_told(prepare):
    with pytest.raises(ValueError, match="--output data/NAME"):
        prepare("x.txt")
    with pytest.raises(ValueError, match="--output needs input files"):
        prepare("--output", "x")
    with pytest.raises(ValueError, match=r"x\.txt: no such file or folder"):
        prepare("x.txt", "--output", "x")
    Path("y.txt").write_text("y")
    with pytest.raises(ValueError, match=r"/proc: .*; take another --output"):
        prepare("y.txt", "--output", "/proc/x")


def test_a_signal_leaves_nothing(start, tmp_path):
    (tmp_path / "in").mkdir()
    fifo = tmp_path / "in" / "a.txt"
    os.mkfifo(fifo)
    out = tmp_path / "out"
    job = start("-m", "eisbach", "data", "prepare", fifo, "--output", out / "a")
    with fifo.open("w") as stream:
        stream.write("the sea " * 1000)
        stream.flush()
        job.wait_for(lambda: list(out.glob(".prepare-*/*")))
        job.process.terminate()
        job.process.communicate(timeout=60)
    assert job.process.returncode == 143
    assert not out.exists()


TALK = [
    {"role": "user", "content": "u1"},
    {"role": "assistant", "content": "a1"},
]


def test_conversations(prepare, tmp_path):
    records = [{"messages": TALK}] * 9 + [{"messages": 3}, {"other": 1}]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    said = prepare(
        "c.jsonl.gz",
        "--output",
        "x",
        "--template",
        "chatml",
        "--validation",
        "0.3",
    )
    assert "kept 9 conversations" in said
    assert "left out 2 records that are none:" in said
    assert "c.jsonl.gz:11: no field 'messages'; fields: other" in said
    file = _C.TokenFile("x-validation")
    assert len(file) == 3
    trained = file[0][file.mask(0).astype(bool)]
    assert bytes(trained.tolist()) == b"a1<|im_end|>"
    (tmp_path / "x.json").unlink()
    with pytest.raises(ValueError, match=r"x\.mask exists; --force"):
        prepare("c.jsonl.gz", "--output", "x", "--template", "chatml")

    shown = CliRunner().invoke(app, ["data", "show", "x-validation"])
    assert shown.exit_code == 0, shown.output
    assert ">>a1<|im_end|><<" in shown.output
    shown = CliRunner().invoke(
        app, ["data", "show", "x-validation", "--color", "always"]
    )
    assert "\x1b[32ma1<|im_end|>\x1b[0m" in shown.output


def test_conversations_from_a_pipe(prepare, tmp_path):
    lines = json.dumps({"dialogue": TALK}) + "\n"
    prepare(
        "-",
        "--output",
        "x",
        "--format",
        "jsonl",
        "--shape",
        "chat",
        "--column",
        "messages=dialogue",
        "--template",
        "chatml",
        "--train-on",
        "all",
        input=lines,
    )
    file = _C.TokenFile("x")
    assert file.trained == file.tokens > 30


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("t.txt", ["--train-on", "last"], "--train-on is about conversations"),
        ("t.txt", ["--column", "messages=m"], "--column is about conversatio"),
        ("c.jsonl", ["--shape", "chat", "--field", "x"], "--field is about"),
        ("c.jsonl", ["--column", "x"], "x: is no NAME=OTHER"),
        ("c.jsonl", [], r"has no chat template beside it.*--template"),
        ("c.jsonl", ["--shape", "alpaca"], "no chat template|no conversation"),
    ],
)
def test_options_that_mean_nothing_here(prepare, tmp_path, name, options, why):
    (tmp_path / "t.txt").write_text("text")
    (tmp_path / "c.jsonl").write_text(json.dumps({"messages": TALK}) + "\n")
    with pytest.raises(ValueError, match=why):
        prepare(name, "--output", "x", *options)
