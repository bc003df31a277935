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
