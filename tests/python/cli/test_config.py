import pytest

from eisbach.config import load_config


def test_prints_values_with_their_origin(eisbach, tmp_path):
    done = eisbach("config", "configs/tiny.yaml", "model.layers=3")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(
        s.split() == ["layers:", "3", "#", "command", "line"] for s in lines
    )
    assert any("hidden: 64" in s and "configs/tiny.yaml:4" in s for s in lines)
    assert any("vocab: 256" in s and "derived" in s for s in lines)
    printed = tmp_path / "c.yaml"
    printed.write_text(done.stdout)
    assert load_config(printed).model.layers == 3


def test_a_wrong_key_ends_it(eisbach):
    done = eisbach("config", "configs/tiny.yaml", "model.layer=3")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "eisbach: error: command line: model.layer: unknown key; closest: "
        "model.layers\n"
    )


def test_a_missing_file_is_named(eisbach):
    done = eisbach("config", "configs/tinny.yaml")
    assert done.returncode == 1
    assert "configs/tinny.yaml: cannot read: No such file" in done.stderr


def test_the_schema_is_the_one_in_the_tree(eisbach, repo):
    done = eisbach("config", "--schema")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (repo / "configs" / "schema.json").read_text()


def test_without_a_file_it_prints_the_defaults(eisbach):
    done = eisbach("config")
    assert done.returncode == 0, done.stderr
    assert "name: run" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["configs/tiny.yaml"], 0, "fits 1 rank: pipeline 1 x data 1"),
        (
            ["parallel.tensor=2", "configs/tiny.yaml", "--ranks", "4"],
            0,
            "fits 4 ranks: pipeline 1 x data 2 x tensor 2; gpt, 118,528 param",
        ),
        (["configs/tiny.yaml", "parallel.pipeline=2"], 0, "fits 2 ranks: "),
        (
            ["configs/tiny.yaml", "parallel.context=2"],
            0,
            "fits 2 ranks: pipeline 1 x data 1 x context 2 x tensor 1; gpt, ",
        ),
        (
            ["configs/tiny.yaml", "parallel.context=3"],
            1,
            "context=3 divides rows into 2 x 3 = 6 chunks, and 6 does not div",
        ),
        (
            [
                "configs/tiny.yaml",
                "parallel.context=8",
                "parallel.context_method=ulysses",
            ],
            1,
            "as context_method=ulysses must (parallel.context, parallel.cont",
        ),
        (
            [
                "configs/tiny.yaml",
                "parallel.context=4",
                "parallel.ulysses_group=3",
            ],
            1,
            "command line: parallel.ulysses_group: ulysses_group=3 does not d",
        ),
        (
            [
                "configs/tiny.yaml",
                "parallel.context=8",
                "parallel.context_method=ulysses_ring",
            ],
            0,
            "fits 8 ranks: pipeline 1 x data 1 x context 8 x tensor 1; gpt, ",
        ),
        (
            ["configs/tiny.yaml", "--ranks", "3"],
            1,
            "configs/tiny.yaml:7: train.global_batch: data=3 x micro_batch=2",
        ),
        (
            ["configs/tiny.yaml", "run.name=a/b"],
            1,
            "command line: run.name: 'a/b' is no name of a run",
        ),
        (
            ["configs/tiny.yaml", "data.tokenizer=nowhere.json"],
            1,
            "command line: data.tokenizer: nowhere.json",
        ),
        (
            ["configs/tiny.yaml", "data.train=nowhere"],
            1,
            "command line: data.train: nowhere: no such file, folder or pre",
        ),
        (
            ["configs/tiny.yaml", "run.dir=README.md/x"],
            1,
            "command line: run.dir: cannot make a folder in README.md/x: ",
        ),
        (
            ["configs/tiny.yaml", "model.vocab=100"],
            1,
            "command line: model.vocab: model.vocab=100 is less than",
        ),
    ],
)
def test_check_says_whether_it_fits(eisbach, arguments, status, told):
    done = eisbach("config", "--check", *arguments)
    assert done.returncode == status, done.stderr
    assert told in (done.stderr if status else done.stdout)
    assert len((done.stderr + done.stdout).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "keys", "told"),
    [
        (
            '{"messages": [{"role": "user", "content": "hi"}]}',
            [],
            "says nothing in it",
        ),
        ('{"messages": [{"role": "user", "text": "hi"}]}', [], "content"),
        ('{"messages": []}\n', [], "no conversation to train on"),
        (
            '{"messages": [{"role": "user", "content": "a"},'
            ' {"role": "assistant", "content": "b"}]}',
            ["data.template=auto"],
            "template",
        ),
    ],
)
def test_check_looks_into_conversations(eisbach, tmp_path, text, keys, told):
    file = tmp_path / "talks.jsonl"
    file.write_text(text)
    named = [f"data.train=[{{path: {file}}}]", "data.validation=none"]
    keys = ["data.template=chatml", *keys]
    done = eisbach("config", "--check", "configs/tiny.yaml", *named, *keys)
    assert done.returncode == 1
    assert told in done.stderr
    assert "data.train" in done.stderr
    file.write_text(
        text.replace("text", "content") + "\n"
        '{"messages": [{"role": "user", "content": "a"},'
        ' {"role": "assistant", "content": "b"}]}\n'
    )
    done = eisbach(
        "config", "--check", "configs/tiny.yaml", *named, "data.template=chatml"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["config", "--lr", "1e-3"], "--lr: keys have no dashes: "),
        (["train", "--lr=1e-3"], "optimizer.lr=1e-3\n"),
        (["train", "configs/tiny.yaml", "--steps", "x"], "train.steps=VALUE\n"),
        (["train", "--bogus"], "No such option: --bogus"),
        (["train"], "configs/gpt_bytes.yaml, configs/llama3_405b"),
        (["train", "gpu"], "gpu: neither a file nor section.key=value"),
    ],
)
def test_a_command_line_that_means_nothing_is_a_line(eisbach, arguments, told):
    done = eisbach(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
