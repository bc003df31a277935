"""How `eisbach run` is called; tests/python/run/test_supervise.py runs it."""

import pytest


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["mpirun", "-n", "2", "python", "x.py"], "no `eisbach train` in it"),
        (["--restarts", "-1", "eisbach", "train"], "--restarts"),
        (["--", "nosuch", "eisbach", "train", "x"], "nosuch: cannot be"),
        ([], "MPIRUN"),
    ],
)
def test_what_means_nothing_is_told(eisbach, words, told):
    done = eisbach("run", *words)
    assert done.returncode == (1 if "nosuch" in words else 2)
    (line,) = done.stderr.splitlines()
    assert told in line


def test_a_configuration_that_does_not_fit_is_no_fault(eisbach, tmp_path):
    file = tmp_path / "end"
    train = (*("eisbach", "train", "configs/tiny.yaml"), f"run.dir={tmp_path}")
    done = eisbach(
        "run", f"--end-file={file}", "--", *train, "train.micro_batch=3"
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("eisbach: error: ")
    assert "micro_batch=3" in line


def test_it_goes_around_mpirun(eisbach, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    done = eisbach("run", "--", "eisbach", "train", "configs/tiny.yaml")
    assert done.returncode == 2
    assert "goes around mpirun: `eisbach run -- mpirun" in done.stderr
