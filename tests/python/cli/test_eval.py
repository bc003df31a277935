import json

import pytest


@pytest.fixture(scope="module")
def folder(eisbach, tmp_path_factory):
    parent = tmp_path_factory.mktemp("runs")
    done = eisbach(
        "train", "configs/tiny.yaml", f"run.dir={parent}", "run.name=one"
    )
    assert not done.returncode, done.stderr
    return parent / "one"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "code.txt").write_text("def main():\n    return 1\n" * 20)
    (folder / "noise.txt").write_text("\u2603zq\x01" * 50)
    rows = [
        {"question": "def", "choices": ["main(", "\u2603\u2603"], "answer": 0},
        {"question": "x =", "choices": ["\x01\x02\x03", "1\n"], "answer": 1},
    ]
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    (folder / "questions.jsonl").write_text(text)
    return folder


def _json(eisbach, folder, *arguments, **options):
    done = eisbach("eval", folder, *arguments, "--json", **options)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def test_a_table_of_texts_and_questions(eisbach, folder, files):
    names = ("code.txt", "noise.txt", "questions.jsonl")
    done = eisbach("eval", folder, *(files / name for name in names))
    assert not done.returncode, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == [
        "text", "tokens", "nats/token", "perplexity", "bits/byte"
    ]  # fmt: skip
    # A model of code finds code likelier than noise.
    code, noise, every = (float(line.split()[-1]) for line in lines[1:4])
    assert code < every < noise
    assert lines[4] == "windows of 32 tokens, 16 apart"
    assert lines[6].split() == [
        "questions",
        "number",
        "accuracy",
        "by",
        "length",
    ]
    assert lines[7].split()[1:3] == ["2", "1.0000"]


def test_the_figures_as_json(eisbach, folder, files):
    found = _json(eisbach, folder, files / "code.txt", "--stride", "32")
    assert (found["context"], found["stride"]) == (32, 32)
    (text,) = found["texts"]
    assert text["tokens"] == text["bytes"] == 20 * 25 - 1
    assert text["nats_per_token"] == pytest.approx(text["loss"] / 499)
    # Of bytes the two are the same.
    assert text["bits_per_byte"] == pytest.approx(
        text["nats_per_token"] / 0.693147180559945
    )
    finer = _json(eisbach, folder, files / "code.txt", "--stride", "8")
    assert finer["texts"][0]["loss"] < text["loss"]


@pytest.mark.mpi
@pytest.mark.parametrize("key", ["", "parallel.pipeline=2"])
def test_ranks_share_a_model(eisbach, folder, files, key):
    names = [files / "code.txt", files / "questions.jsonl"]
    alone = _json(eisbach, folder, *names, "precision.compute=f32")
    more = [key] if key else []
    shared = _json(
        eisbach, folder, *names, "precision.compute=f32", *more, ranks=2
    )
    assert shared["choices"] == alone["choices"]
    (a,), (b,) = alone["texts"], shared["texts"]
    assert a["loss"] == pytest.approx(b["loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "eval needs a file"),
        (["nowhere.txt"], "nowhere.txt: No such file"),
        (["README.md", "--stride", "33"], "stride=33 is outside 1 to"),
    ],
)
def test_what_is_refused(eisbach, folder, arguments, reason):
    done = eisbach("eval", folder, *arguments)
    assert done.returncode
    assert reason in done.stderr
