"""What a run knows its data by, and data that changes under it."""

import json
import os
import shutil

import numpy as np
import pytest

from eisbach import TokenFileWriter


def write(prefix, *, seed=0, tokens=4000):
    writer = TokenFileWriter(str(prefix), dtype="u8")
    drawn = np.random.default_rng(seed).integers(0, 256, tokens)
    for part in np.split(drawn.astype(np.int32), 4):
        writer.add_document(part)
    writer.close()
    return prefix


def told(done):
    assert done.returncode != 0
    assert done.stderr.count("eisbach: error: ") == 1, done.stderr
    (line,) = (s for s in done.stderr.splitlines() if "eisbach: error" in s)
    return line


@pytest.fixture(scope="module")
def trained(eisbach, tmp_path_factory):
    """A run folder with a checkpoint of step 2, and its data beside it."""
    home = tmp_path_factory.mktemp("trained")
    write(home / "books")
    done = eisbach(
        "train",
        "configs/tiny.yaml",
        f"run.dir={home}",
        f"data.train={home / 'books'}",
        "data.validation=none",
        "train.steps=2",
    )
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def home(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "home")
    return tmp_path / "home"


def resume(eisbach, home, *overrides, **options):
    return eisbach(
        "train",
        "--resume",
        home / "tiny",
        f"data.train={home / 'books'}",
        "train.steps=4",
        *overrides,
        **options,
    )


def test_other_data_under_the_same_name_is_found(eisbach, home):
    old = (home / "books.bin").read_bytes()
    (home / "books.bin").write_bytes(old[:-1] + bytes([old[-1] ^ 1]))
    line = told(resume(eisbach, home))
    assert "data.train[0].bin=" in line
    assert line.count("4000 bytes, xxh64 ") == 2
    assert "in the checkpoint" in line
    assert f"data.train[0] is {home / 'books'}" in line


def test_data_that_was_moved_is_the_same_data(eisbach, home):
    for suffix in (".bin", ".idx"):
        os.rename(home / f"books{suffix}", home / f"moved{suffix}")
    done = resume(eisbach, home, f"data.train={home / 'moved'}")
    assert done.returncode == 0, done.stderr
    steps = (home / "tiny" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in steps] == [1, 2, 3, 4]


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("ranks", "tokens"),
    # In one page, of which the rest reads as zeros; in several.
    [(1, 4000), (1, 40000), (2, 40000)],
)
def test_data_that_is_cut_under_a_run_ends_it_with_its_name(
    start, tmp_path, ranks, tokens
):
    books = write(tmp_path / "books", tokens=tokens)
    job = start(
        *("-m", "eisbach", "train", "configs/tiny.yaml"),
        f"run.dir={tmp_path}",
        f"data.train={books}",
        "data.validation=none",
        "train.steps=100000",
        ranks=ranks,
    )
    metrics = tmp_path / "tiny" / "metrics.jsonl"
    job.wait_for(lambda: metrics.exists() and metrics.stat().st_size > 0)
    os.truncate(tmp_path / "books.bin", 100)
    errors = job.check_failure()
    # A rank that a bus error ends can wait for no other to say it first.
    assert 1 <= errors.count("eisbach: error: ") <= ranks, errors
    assert str(tmp_path / "books.bin") in errors
    assert "at byte " in errors
    assert f"it had {tokens} bytes when it was opened" in errors


# Nobody can tell what the user says; the assistant says the same each time.
def write_talks(path):
    draw = np.random.default_rng(3)
    with open(path, "w") as stream:
        for _ in range(40):
            word = "".join(draw.choice(list("abcdefghijklmnop"), 8))
            talk = [
                {"role": "user", "content": word},
                {"role": "assistant", "content": "yes, sir"},
            ]
            stream.write(json.dumps({"messages": talk}) + "\n")
    return path


def train_talks(eisbach, home, name, *overrides, **options):
    done = eisbach(
        "train",
        "configs/tiny.yaml",
        f"run.dir={home}",
        f"run.name={name}",
        f"data.train={home / 'talks.jsonl'}",
        "data.template=chatml",
        "model.context=192",
        "precision.compute=f32",  # losses are compared
        "train.steps=30",
        "train.validate_every=30",
        "optimizer.lr=0.01",
        *overrides,
        **options,
    )
    assert done.returncode == 0, done.stderr
    lines = (home / name / "metrics.jsonl").read_text().splitlines()
    losses = [m["loss"] for m in map(json.loads, lines) if "loss" in m]
    return losses, done.stdout


@pytest.fixture(scope="module")
def talks(eisbach, tmp_path_factory):
    """A folder with conversations and the losses of one rank."""
    home = tmp_path_factory.mktemp("talks")
    write_talks(home / "talks.jsonl")
    return home, *train_talks(eisbach, home, "one")


def test_only_what_the_assistant_says_counts(eisbach, talks):
    home, losses, said = talks
    assert "kept 40 conversations" in said
    # That the answer follows is soon known, whatever the user said.
    assert losses[-1] < 0.3 < 3 < losses[0]
    everything, _ = train_talks(eisbach, home, "all", "data.train_on=all")
    assert everything[-1] > 3 * losses[-1]
    # Whoever asks the model does so in the words that it was trained with.
    template = (home / "one" / "model" / "chat_template.jinja").read_text()
    assert "<|im_start|>" in template
    shown = eisbach("data", "show", home / "one", "--samples", "2")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count(">>yes, sir<|im_end|><<") == 2


@pytest.mark.mpi
def test_ranks_with_other_numbers_of_counted_tokens_have_the_same_loss(
    eisbach, talks
):
    home, losses, _ = talks
    divided, _ = train_talks(eisbach, home, "two", ranks=2)
    np.testing.assert_allclose(divided, losses, rtol=2e-4)


def test_another_mask_is_other_data(eisbach, talks):
    home, *_ = talks
    done = eisbach(
        "train",
        "--resume",
        home / "one",
        "train.steps=32",
        "data.train_on=last",
    )
    # One answer each: the same tokens, and the same mask.
    assert done.returncode == 0, done.stderr
    done = eisbach(
        "train",
        "--resume",
        home / "one",
        "train.steps=34",
        "data.train_on=all",
    )
    assert "data.train[0].mask=" in told(done)


def test_the_model_answers_as_it_was_trained_to(talks):
    import transformers

    home, *_ = talks
    tokenizer = transformers.AutoTokenizer.from_pretrained(home / "one/model")
    model = transformers.AutoModelForCausalLM.from_pretrained(
        home / "one/model", dtype="float32"
    )
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "abcdefgh"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    made = model.generate(**asked, max_new_tokens=18, do_sample=False)
    answer = tokenizer.decode(made[0, asked["input_ids"].shape[1] :])
    assert answer == "yes, sir<|im_end|>"


def test_a_folder_brings_its_template(eisbach, talks):
    home, *_ = talks
    done = eisbach(
        "train",
        f"model.from={home / 'one' / 'model'}",
        f"run.dir={home}",
        "run.name=on",
        f"data.train={home / 'talks.jsonl'}",
        "data.validation=none",
        "train={steps: 2, global_batch: 4, micro_batch: 4}",
    )
    assert done.returncode == 0, done.stderr
    assert "kept 40 conversations" in done.stdout
    lines = (home / "on" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["loss"] < 0.5, "the template is that of before"
    assert (home / "on" / "model" / "chat_template.jinja").is_file()
