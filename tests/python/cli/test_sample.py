import json
import os
import pty
import shutil
import subprocess

import pytest

from eisbach.cli.sample import command


@pytest.fixture(scope="module")
def folder(eisbach, tmp_path_factory):
    parent = tmp_path_factory.mktemp("runs")
    done = eisbach(
        "train", "configs/tiny.yaml", f"run.dir={parent}", "run.name=one"
    )
    assert not done.returncode, done.stderr
    return parent / "one"


def test_a_seed_makes_a_text(eisbach, folder):
    texts = [
        eisbach("sample", folder, "--prompt", "def ", "--seed", seed).stdout
        for seed in (1, 1, 2)
    ]
    assert all(text.startswith("def ") for text in texts)
    assert texts[0] == texts[1] != texts[2]


def test_tokens_and_temperature(eisbach, folder):
    arguments = ["--prompt", "a" * 20, "--tokens", "5", "--temperature", "0"]
    texts = {
        eisbach("sample", folder, *arguments, "--seed", seed).stdout
        for seed in (1, 2)
    }
    assert len(texts) == 1
    assert len(texts.pop().removeprefix("a" * 20).removesuffix("\n")) <= 5


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--prompt", ""], "--prompt"),
        (["--prompt", "a", "--top-k", "-1"], "--top-k"),
        (["--prompt", "a", "--top-p", "0"], "top_p=0"),
        (["--prompt", "a", "--min-p", "2"], "min_p=2"),
        (["--prompt", "a", "--repetition-penalty", "0"], "repetition_penalty"),
        ([], "sample needs a prompt"),
        (["--prompts", "nowhere.txt"], "nowhere.txt: No such file"),
    ],
)
def test_bad_options(eisbach, folder, arguments, reason):
    done = eisbach("sample", folder, *arguments)
    assert done.returncode != 0
    assert reason in done.stderr


_SHORT = ("--temperature", "0", "--tokens", "12")


def _text(eisbach, folder, prompt, **options):
    arguments = ("--prompt", prompt, *_SHORT)
    done = eisbach("sample", folder, *arguments, **options)
    assert not done.returncode, done.stderr
    return done.stdout


def test_several_prompts_are_each_continued(eisbach, folder, tmp_path):
    prompts = ["def ", "import numpy", "a"]
    alone = [_text(eisbach, folder, prompt) for prompt in prompts]
    file = tmp_path / "prompts.txt"
    file.write_text("import numpy\n\na\n")
    several = ("--prompt", "def ", "--prompts", file, "--batch", 2, *_SHORT)
    done = eisbach("sample", folder, *several)
    assert done.stdout == "".join(
        f"--- {i}\n{text}" for i, text in enumerate(alone, 1)
    )
    lines = tmp_path / "prompts.jsonl"
    lines.write_text("".join(f"{json.dumps({'prompt': p})}\n" for p in prompts))
    done = eisbach("sample", folder, "--prompts", lines, "--json", *_SHORT)
    rows = list(map(json.loads, done.stdout.splitlines()))
    assert [row["prompt"] for row in rows] == prompts
    assert [r["prompt"] + r["text"] + "\n" for r in rows] == alone
    assert {(row["tokens"], row["end"]) for row in rows} == {(12, "tokens")}
    lines.write_text('{"text": "a"}\n')
    done = eisbach("sample", folder, "--prompts", lines)
    assert done.returncode == 1
    assert "prompts.jsonl:1: no JSON such as" in done.stderr


def test_a_stop_string_and_a_full_context(eisbach, folder):
    whole = _text(eisbach, folder, "def ").removeprefix("def ")
    stop = whole[3:5]
    arguments = ("--prompt", "def ", "--stop", stop, *_SHORT)
    done = eisbach("sample", folder, *arguments)
    assert done.stdout == f"def {whole[: whole.index(stop)]}\n"
    # The context of configs/tiny.yaml.
    done = eisbach(
        "sample", folder, "--prompt", "a" * 28, "--tokens", 99, "--json"
    )
    row = json.loads(done.stdout)
    assert (row["end"], row["tokens"]) == ("context", 4)
    done = eisbach("sample", folder, "--prompt", "a" * 28, "--tokens", 99)
    assert "the context of 32 tokens is full" in done.stderr
    done = eisbach("sample", folder, "--prompt", "a" * 32)
    assert done.returncode == 1
    assert "longest that works: 31" in done.stderr


@pytest.mark.mpi
@pytest.mark.parametrize("key", ["", "parallel.pipeline=2", "parallel.data=2"])
def test_ranks_share_a_model(eisbach, folder, key):
    arguments = [folder, key] if key else [folder]
    done = eisbach(
        "sample", *arguments, "precision.compute=f32", "--prompt", "def ",
        *_SHORT, ranks=2,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    alone = eisbach(
        "sample", folder, "precision.compute=f32", "--prompt", "def ", *_SHORT
    )
    assert done.stdout == alone.stdout


def test_no_run(eisbach, tmp_path):
    done = eisbach("sample", tmp_path, "--prompt", "a")
    assert done.returncode == 1
    assert "no run folder and no model" in done.stderr


def test_a_run_that_has_not_ended(eisbach, folder, tmp_path):
    shutil.copy(folder / "config.yaml", tmp_path)
    done = eisbach("sample", tmp_path, "--prompt", "a")
    assert done.returncode == 1
    assert "the run has not come to its end" in done.stderr
    assert "there is no checkpoint of it" in done.stderr


def test_a_model_folder_alone(eisbach, folder, tmp_path):
    """The same text as of the run, from a copy without anything else."""
    shutil.copytree(folder / "model", tmp_path / "copy")
    arguments = ["--prompt", "def ", "--temperature", "0", "--tokens", "9"]
    texts = {
        eisbach("sample", path, "precision.compute=f32", *arguments).stdout
        for path in (folder, tmp_path / "copy")
    }
    assert len(texts) == 1
    assert len(texts.pop()) > len("def ")


def test_tokens_that_nobody_knows(trainer, eisbach):
    """More tokens than bytes: the run ends well, and a prompt must be asked."""
    done, folder = trainer("model.vocab=300", "train.steps=1")("more")
    assert not done.returncode, done.stderr
    done = eisbach("sample", folder, "--prompt", "a")
    assert done.returncode == 1
    assert "--tokenizer" in done.stderr
    arguments = ["--prompt", "def ", "--tokenizer", "bytes", "--tokens", "20"]
    done = eisbach("sample", folder, *arguments, "--top-k", "0")
    assert not done.returncode, done.stderr
    assert done.stdout.startswith("def ")


def test_the_folder_has_its_own_tokenizer(trainer, eisbach, run, tmp_path):
    """From another working folder, when the file of the run is gone."""
    file = _train_tokenizer(tmp_path)
    prefix = tmp_path / "words"
    text = tmp_path / "words.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 99)
    done = eisbach(
        "data", "prepare", text, "--output", prefix, "--tokenizer", file
    )
    assert not done.returncode, done.stderr
    done, folder = trainer()(
        "words",
        f"data.tokenizer={file}",
        f"data.train={prefix}",
        "data.validation=none",
        "model.vocab=auto",
    )
    assert not done.returncode, done.stderr
    file.unlink()
    arguments = ["--prompt", "the quick", "--temperature", "0"]
    here = eisbach("sample", folder, *arguments)
    assert not here.returncode, here.stderr
    assert here.stdout.startswith("the quick ")

    moved = folder.rename(tmp_path / "moved")
    code = (
        "import os, sys; os.chdir(sys.argv.pop(1)); "
        "from eisbach.cli import main; main()"
    )
    there = run("-c", code, tmp_path, "sample", moved.name, *arguments)
    assert there.stdout == here.stdout, there.stderr


def test_a_terminal_gets_no_control_characters(launch, folder):
    """A terminal would obey what a pipe carries as it is."""
    prompt = "a\x1b[31mb\x9b\x07"
    command, environment, cwd = launch(
        "-m", "eisbach", "sample", folder, "--prompt", prompt, "--tokens", "1",
        "run.threads=1",
    )  # fmt: skip
    ours, theirs = pty.openpty()
    subprocess.run(
        command, env=environment, cwd=cwd, stdout=theirs, check=True,
        timeout=300,
    )  # fmt: skip
    os.close(theirs)
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert shown.startswith(r"a\x1b[31mb\x9b\x07")
    piped = subprocess.run(
        command, env=environment, cwd=cwd, stdout=subprocess.PIPE, check=True,
        timeout=300,
    )  # fmt: skip
    assert piped.stdout.decode().startswith(prompt)


def _train_tokenizer(folder):
    """As converted from SentencePiece: a space before each text."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers

    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("_"), normalizers.Replace(" ", "_")]
    )
    made.decoder = decoders.Sequence(
        [decoders.Replace("_", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.train_from_iterator(
        ["the quick brown fox jumps over the lazy dog"] * 9,
        trainers.BpeTrainer(
            vocab_size=40, special_tokens=["<unk>", "</s>"], show_progress=False
        ),
    )
    made.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def test_a_prompt_is_utf_8(tmp_path):
    prompt = b"\xc3\xbc\xff".decode(errors="surrogateescape")
    with pytest.raises(ValueError, match=r"--prompt: not UTF-8 at byte 2"):
        command(tmp_path, prompt=[prompt])
