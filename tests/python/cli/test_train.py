import json
import math
import re
import shutil

import numpy as np
import pytest
import tokenizers

from eisbach import TokenFileWriter

KEYS = {
    "step",
    "loss",
    "grad_norm",
    "learning_rate",
    "loss_scale",
    "skipped",
    "tokens",
    "counted",
    "tokens_per_second",
    "step_seconds",
    "model_tflops_per_second",
    "peak_memory_bytes",
    "matmul_seconds",
    "attention_seconds",
    "exposed_communication_seconds",
    "other_seconds",
    "straggler_rank",
    "straggler_part",
    "straggler_seconds",
    "chosen_reward",
    "rejected_reward",
    "reward_margin",
    "reward_accuracy",
} | {"z_loss", "label_smoothing_loss", "slow_link", "slow_link_seconds"}
PARTS = ("matmul", "attention", "other", "exposed_communication")


@pytest.fixture(scope="session")
def train(trainer):
    return trainer()


@pytest.fixture(scope="session")
def run_folder(train):
    done, folder = train("one", "checkpoint.every_steps=4")
    assert not done.returncode, done.stderr
    return folder


def losses(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def test_a_run_fills_its_folder(run_folder):
    lines = (run_folder / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines]
    assert [step["step"] for step in steps] == list(range(1, 11))
    assert all(step.keys() == KEYS for step in steps)
    figures = [v for s in steps for v in s.values() if v is not None]
    assert len(figures) == 10 * (len(KEYS) - 11)  # none slow, no pairs or terms
    assert all(math.isfinite(v) and v >= 0 for v in figures)
    assert steps[-1]["tokens"] == 10 * 8 * 32
    assert {step["counted"] for step in steps} == {8 * 32}
    assert steps[-1]["loss"] < steps[0]["loss"] - 0.5
    for step in steps:
        parts = [step[f"{part}_seconds"] for part in PARTS]
        assert sum(parts) == pytest.approx(step["step_seconds"])
        assert all(step[f"{part}_seconds"] > 0 for part in PARTS[:3])
        assert step["exposed_communication_seconds"] == 0  # one rank
    summary = json.loads((run_folder / "summary.json").read_text())
    assert summary["time_shares"].keys() == set(PARTS)
    assert sum(summary["time_shares"].values()) == pytest.approx(1)
    assert summary["loss"] == steps[-1]["loss"]
    assert summary["bits_per_byte"] == pytest.approx(
        summary["validation_loss"] / math.log(2)
    )
    assert set(summary["layout"].values()) == {1}
    assert (run_folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert list((run_folder / "tensorboard").glob("events*"))
    assert (run_folder / "model" / "model.safetensors").exists()
    names = {p.name for p in (run_folder / "checkpoints").iterdir()}
    assert names == {f"step-000000{step:02}" for step in (4, 8, 10)}
    assert (run_folder / "tokenizer" / "documents.json").exists()


def test_a_run_tells_what_it_does(train):
    done, folder = train("told", "train.steps=2")
    assert not done.returncode, done.stderr
    assert "model.kv_heads: 4 (model.heads)" in done.stdout
    assert "stage 0  0" in done.stdout
    assert "bits per byte" in done.stdout
    assert "--- continuation" in done.stdout
    assert re.search(
        r"\ntime in steps: matmul \d+ %, attention \d+ %, other \d+ %, "
        r"exposed communication 0 %\n",
        done.stdout,
    )
    assert done.stdout.splitlines()[-1] == f"run folder: {folder}"
    assert "\x1b" not in done.stdout


def test_no_run_folder_is_overwritten(train):
    _, first = train("again", "train.steps=1", "data.validation=none")
    before = (first / "metrics.jsonl").read_text()
    done, _ = train("again", "train.steps=1", "data.validation=none")
    assert not done.returncode, done.stderr
    assert (first / "metrics.jsonl").read_text() == before
    assert losses(first.with_name("again-2")) == losses(first)


def damage_line(path, index):
    """Leaves zeros of it, as a power cut does."""
    lines = path.read_bytes().split(b"\n")
    lines[index] = b"\0" * 99
    path.write_bytes(b"\n".join(lines))


def test_a_resumed_run_equals_the_unbroken_one_bitwise(
    run_folder, train, eisbach
):
    # The same steps, broken off after the checkpoint of step 4.
    done, folder = train("broken", "checkpoint.every_steps=4")
    assert not done.returncode, done.stderr
    for step in (8, 10):
        shutil.rmtree(folder / "checkpoints" / f"step-000000{step:02}")
    damage_line(folder / "metrics.jsonl", 2)
    done = eisbach("train", "--resume", folder)
    assert not done.returncode, done.stderr
    assert "goes on after step 4" in done.stdout
    told = done.stderr.splitlines()
    assert len(told) == 2
    assert f"{folder / 'metrics.jsonl'}:3: 99 zero bytes; moved to" in told[0]
    assert told[1].endswith("metrics.jsonl: steps without a line: 3")
    assert losses(folder) == [*losses(run_folder)[:2], *losses(run_folder)[3:]]
    for name in ("model.safetensors", "config.json"):
        ours, unbroken = (f / "model" / name for f in (folder, run_folder))
        assert ours.read_bytes() == unbroken.read_bytes()


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def test_what_a_resume_changes_is_kept(train, eisbach):
    done, folder = train("longer", "train.steps=2")
    assert not done.returncode, done.stderr
    told = " ".join(done.stdout.split())
    assert "a crash loses what came after the last checkpoint" in told
    weights = folder / "model" / "model.safetensors"
    before = weights.stat().st_ino
    done = eisbach("train", "--resume", folder)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{folder} is finished: its 2 steps")
    assert weights.stat().st_ino == before
    done = eisbach("train", "--resume", folder, "train.steps=1")
    assert done.returncode == 1
    assert "train.steps: steps=1 is below the 2 that are done" in done.stderr
    # Time runs out between any two steps, and old checkpoints go.
    overrides = (
        "train.steps=8",
        "checkpoint.every_minutes=1e-9",
        "checkpoint.keep=2",
    )
    done = eisbach("train", "--resume", folder, *overrides)
    assert not done.returncode, done.stderr
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == [f"step-0000000{step}" for step in (2, 7, 8)]
    text = (folder / "config.yaml").read_text()
    assert re.search(r"steps: 8 +# --resume at step 2\n", text)
    # A run that was stopped after its last step has its end still to come.
    expected = summary_of(folder)["validation_loss"]
    (folder / "summary.json").unlink()
    (folder / "validation.jsonl").write_text("")
    done = eisbach("train", "--resume", folder)
    assert not done.returncode, done.stderr
    assert weights.stat().st_ino != before
    assert summary_of(folder)["steps"] == 8
    assert summary_of(folder)["validation_loss"] == expected
    (last,) = (folder / "validation.jsonl").read_text().splitlines()
    assert json.loads(last)["step"] == 8
    assert len(losses(folder)) == 8


def test_an_older_checkpoint_can_be_taken(run_folder, train, eisbach):
    done, folder = train(
        "older", "checkpoint.every_steps=4", "optimizer.lr=1e-9"
    )
    assert not done.returncode, done.stderr
    before = losses(folder)
    step = folder / "checkpoints" / "step-00000004"
    done = eisbach("train", "--resume", step, "optimizer.lr=1e-2")
    assert not done.returncode, done.stderr
    assert f"what came after step 4 is now in {folder}/aside" in done.stderr
    assert losses(folder)[:4] == before[:4]
    assert losses(folder)[9] < before[9] - 0.1
    assert losses(folder / "aside") == before
    assert summary_of(folder / "aside")["loss"] == before[9]


def test_resuming_another_model_is_an_error(run_folder, eisbach):
    before = (run_folder / "config.yaml").read_text()
    done = eisbach(
        "train", "--resume", run_folder, "run.seed=7", "train.steps=12"
    )
    assert done.returncode == 1
    assert "run.seed" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (run_folder / "config.yaml").read_text() == before


@pytest.mark.mpi
def test_ranks_save_together_by_the_clock_of_one(train, eisbach):
    done, folder = train(
        "clock", "parallel.tensor=2", "checkpoint.every_minutes=1e-9", ranks=2
    )
    assert not done.returncode, done.stderr
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == [f"step-000000{step:02}" for step in (8, 9, 10)]
    # Together they also go on, and find that nothing is left.
    more = ("train", "--resume", folder, "train.steps=11")
    done = eisbach(*more, ranks=2)
    assert not done.returncode, done.stderr
    assert len(losses(folder)) == 11
    done = eisbach(*more, ranks=2)
    assert not done.returncode, done.stderr
    assert done.stdout.count("is finished: its 11 steps are done") == 1


def test_a_run_keeps_its_tokenizer(train, eisbach, tmp_path):
    source = tmp_path / "tokenizer.json"
    letters = {chr(i): i for i in range(32, 127)}
    model = tokenizers.models.WordLevel(letters, unk_token=" ")
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    made.save(str(source))
    (tmp_path / "text.txt").write_text("to be or not to be\n" * 99)
    done = eisbach(
        *("data", "prepare", tmp_path / "text.txt"),
        *("--output", tmp_path / "text", "--tokenizer", source),
    )
    assert not done.returncode, done.stderr
    done, folder = train(
        *("own", "train.steps=2", f"data.train={tmp_path / 'text'}"),
        *("data.validation=none", f"data.tokenizer={source}"),
    )
    assert not done.returncode, done.stderr
    given = source.read_text()
    source.unlink()
    shutil.rmtree(folder / "model")
    (folder / "summary.json").unlink()
    done = eisbach("train", "--resume", folder)
    assert not done.returncode, done.stderr
    assert (folder / "model" / "tokenizer.json").read_text() == given
    copy = folder / "tokenizer" / "tokenizer.json"
    assert copy.read_text() == given
    copy.write_text(given.replace(" ", "", 1))
    done = eisbach("train", "--resume", folder, "train.steps=3")
    assert done.returncode == 1
    assert f"{copy}: is not the tokenizer" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.mpi
def test_a_run_goes_on_with_other_ranks_and_types(run_folder, train, eisbach):
    done, folder = train("moved", "checkpoint.every_steps=4", ranks=2)
    assert not done.returncode, done.stderr
    layouts = [
        (1, [], "data: 1 "),
        (2, ["parallel.pipeline=2", "parallel.data=1"], "pipeline: 2 "),
        (4, ["parallel.tensor=1"], "data: 2 "),
        (2, ["precision.compute=bf16"], "compute: bf16 "),
    ]
    for ranks, overrides, kept in layouts:
        for step in (8, 10):
            shutil.rmtree(folder / "checkpoints" / f"step-000000{step:02}")
        done = eisbach("train", "--resume", folder, *overrides, ranks=ranks)
        assert not done.returncode, done.stderr
        assert "goes on after step 4" in done.stdout
        assert kept in (folder / "config.yaml").read_text()
        rel = 1e-2 if "bf16" in kept else 1e-5
        assert losses(folder) == pytest.approx(losses(run_folder), rel=rel)
    told = told_once(eisbach("train", "--resume", folder, ranks=3))
    assert "does not divide 3 ranks; nearest that works: 4 ranks" in told


@pytest.mark.mpi
def test_the_same_command_starts_goes_on_and_is_done(train, eisbach):
    def again(*overrides, ranks=1):
        settings = ("checkpoint.every_steps=2", *overrides, "--auto-resume")
        done, folder = train("same", *settings, ranks=ranks)
        assert not done.returncode, done.stderr
        return done.stdout, folder

    told, folder = again("train.steps=4")
    assert "goes on" not in told
    told, _ = again("train.steps=4", ranks=2)
    assert told.startswith(f"{folder} is finished: its 4 steps")
    before = losses(folder)
    shutil.rmtree(folder / "checkpoints" / "step-00000004")
    told, _ = again("train.steps=4", ranks=2)
    assert "goes on after step 2" in told
    assert losses(folder) == pytest.approx(before, rel=1e-5)
    told, _ = again("train.steps=6")
    assert "goes on after step 4" in told
    assert len(losses(folder)) == 6
    # Nothing was saved: there is nothing to go on with.
    shutil.rmtree(folder / "checkpoints")
    told, _ = again("train.steps=2")
    assert "goes on" not in told
    assert not folder.with_name("same-3").exists()
    assert len(losses(folder.with_name("same-2"))) == 2
    done = eisbach("train", "--resume", folder, "--auto-resume")
    assert done.returncode == 2
    assert "give one of them" in done.stderr


@pytest.fixture(scope="session")
def alone(train):
    """Run folders of one rank, by compute type."""
    folders = {}
    for compute in ("f32", "bf16", "f16"):
        done, folders[compute] = train(compute, f"precision.compute={compute}")
        assert not done.returncode, done.stderr
    return folders


@pytest.mark.mpi
@pytest.mark.parametrize(
    "layout",
    [
        ["parallel.data=2"],
        ["parallel.tensor=2"],
        ["parallel.pipeline=2", "parallel.schedule=gpipe"],
    ],
    ids=lambda layout: layout[0],
)
@pytest.mark.parametrize(
    ("compute", "rel"), [("f32", 1e-5), ("bf16", 1e-2), ("f16", 1e-2)]
)
def test_two_ranks_give_the_same_run(alone, train, layout, compute, rel):
    name = f"{compute}-{layout[0].replace('.', '-').replace('=', '-')}"
    done, folder = train(name, f"precision.compute={compute}", *layout, ranks=2)
    assert not done.returncode, done.stderr
    assert done.stdout.count("run folder: ") == 1
    assert "\x1b" not in done.stdout
    assert losses(folder) == pytest.approx(losses(alone[compute]), rel=rel)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["time_shares"]["exposed_communication"] > 0


def told_once(done):
    """The line of a failure: all that is told, by mpirun as well."""
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "eisbach: error: " in done.stderr
    return done.stderr.strip()


@pytest.fixture
def corpus(tmp_path):
    """Bytes as 16-bit tokens; one of 4000 is none."""
    tokens = np.arange(4000) % 256
    tokens[2000] = 999
    writer = TokenFileWriter(str(tmp_path / "corpus"), dtype="u16")
    writer.add_document(tokens.astype(np.int32))
    writer.close()
    return tmp_path / "corpus"


def data_of(corpus):
    return f"data.train={corpus}", "data.validation=none", "train.steps=100"


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_token_outside_the_vocabulary_is_told_once(train, corpus, ranks):
    # With two ranks one of them meets it, and the other must not wait.
    done, folder = train(
        "outside", *data_of(corpus), f"parallel.data={ranks}", ranks=ranks
    )
    told = told_once(done)
    assert "token 999 at position 2000 of document 0" in told
    assert str(corpus) in told
    steps = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(s)["step"] for s in steps] == list(
        range(1, len(steps) + 1)
    )


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("suffix", "damage", "reason"),
    [
        (".idx", lambda content: None, "corpus.idx"),
        (".bin", lambda content: None, "corpus.bin"),
        (".idx", lambda content: b"X" + content[1:], "corpus.idx"),
        (".idx", lambda content: content[:-3], "corpus.idx"),
        (".bin", lambda content: content[:-2], "corpus.bin"),
    ],
    ids=["no-index", "no-tokens", "another-format", "cut-index", "cut-tokens"],
)
@pytest.mark.parametrize("ranks", [1, 2])
def test_damaged_data_is_told_once(
    train, corpus, suffix, damage, reason, ranks
):
    file = corpus.with_suffix(suffix)
    content = damage(file.read_bytes())
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    done, folder = train("damaged", *data_of(corpus), ranks=ranks)
    assert reason in told_once(done)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("overrides", "ranks", "reason"),
    [
        (["model.heads=5"], 1, "model.heads: heads=5 does not divide hidden"),
        (["parallel.tensor=3"], 2, "parallel"),
        (["parallel.data=4"], 2, "parallel"),
        (["parallel.tensor=2", "parallel.pipeline=2"], 2, "parallel"),
        (
            ["network.nvls=required"],
            2,
            "network.nvls: nvls is required, and the data group of ranks 0, 1",
        ),
        (["train.micro_batch=3"], 1, "train.global_batch"),
        (["run.name=../x"], 1, "run.name: '../x' is no name of a run"),
        (
            ["data.train=nowhere", "data.validation=none"],
            1,
            "nowhere: no such file, folder or prefix",
        ),
    ],
)
def test_what_does_not_fit_is_told_once(train, overrides, ranks, reason):
    done, folder = train("misfit", *overrides, ranks=ranks)
    assert reason in told_once(done)
    assert not folder.exists()


@pytest.mark.mpi
def test_ranks_on_several_hosts_are_listed(train, monkeypatch):
    # Ranks 0 and 1 are taken for those of one host, 2 and 3 of another.
    monkeypatch.setenv("EISBACH_RANKS_PER_HOST", "2")
    done, _ = train("inside", "parallel.tensor=2", "train.steps=2", ranks=4)
    assert not done.returncode, done.stderr
    assert re.search(r"  rank  host +device", done.stdout)
    assert "domain 1: 2 ranks, 2-3; memory" in done.stdout
    assert "crosses domains" not in done.stdout
    assert "\ntensor groups of 2: shm\n" in done.stdout
    done, _ = train("across", "parallel.tensor=4", "train.steps=2", ranks=4)
    assert not done.returncode, done.stderr
    assert (
        "parallel.tensor=4 crosses domains: 1 of 1 tensor groups, such as "
        "ranks 0-3 of 2 domains, talk over the network"
    ) in " ".join(done.stdout.split())  # lines are folded
    assert "sizes that stay inside: 1, 2" in done.stdout


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.mpi)])
def test_a_damaged_checkpoint_names_an_older_one_that_works(
    trainer, eisbach, ranks
):
    done, folder = trainer("checkpoint.every_steps=1", "train.steps=3")(
        "older", ranks=ranks
    )
    assert not done.returncode, done.stderr
    steps = sorted((folder / "checkpoints").iterdir())
    for step in steps[1:]:
        (step / "manifest.json").write_text("{")
    resume = ("train", "--resume", folder, "train.steps=4")
    done = eisbach(*resume, ranks=ranks)
    assert done.returncode == 1
    assert f"{steps[2]}/manifest.json" in done.stderr
    assert f"nearest that works: --resume {steps[0]}\n" in done.stderr
    (steps[0] / "manifest.json").unlink()
    done = eisbach(*resume, ranks=ranks)
    assert done.returncode == 1
    assert "nearest" not in done.stderr


def test_a_model_that_was_removed_is_written_again(trainer, eisbach):
    done, folder = trainer("train.steps=2")("again")
    assert not done.returncode, done.stderr
    before = (folder / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(folder / "model")
    done = eisbach("train", "--resume", folder)
    assert not done.returncode, done.stderr
    assert "is finished" not in done.stdout
    assert (folder / "model" / "model.safetensors").read_bytes() == before
    metrics = (folder / "metrics.jsonl").read_text()
    assert metrics.count("\n") == 2
    done = eisbach("train", "--resume", folder)
    assert "is finished" in done.stdout
