import pytest

TINY = ("configs/tiny.yaml", "train.steps=2", "data.validation=none")


@pytest.mark.mpi
def test_runs_follow_one_another_and_are_compared(eisbach, tmp_path):
    done = eisbach(
        "sweep",
        *TINY,
        f"run.dir={tmp_path}",
        "optimizer.lr=1e-3,3e-3",
        "--ranks",
        "2",
    )
    assert done.returncode == 0, done.stderr
    assert "[2/2] train.steps=2" in done.stdout
    _, _, table = done.stdout.partition("\nrun ")
    assert "  optimizer.lr=0.001\n" in table
    assert table.count(" done ") == 2
    assert {path.name for path in tmp_path.iterdir()} == {
        "tiny-lr-0.001",
        "tiny-lr-0.003",
    }


def test_one_that_fails_does_not_end_the_others(eisbach, tmp_path):
    done = eisbach(
        "sweep",
        *TINY,
        f"run.dir={tmp_path}",
        "optimizer.lr=1e30,1e-3",
        "optimizer.clip_grad_norm=0",
        "train.steps=4",
    )
    assert done.returncode == 1
    assert "tiny-lr-1e_30" in done.stdout or "tiny-lr-1e+30" in done.stdout
    assert " done " in done.stdout
    assert "failed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["configs/tiny.yaml"], "sweep needs keys with values"),
        (["configs/tiny.yaml", "model.heads=4,5"], "heads=5 does not divide"),
        (["configs/tiny.yaml", "--lr", "1"], "optimizer.lr=1"),
    ],
)
def test_what_cannot_start_is_a_line(eisbach, arguments, told):
    done = eisbach("sweep", *arguments)
    assert done.returncode in (1, 2)
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_ranks_are_its_own_matter(eisbach, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    done = eisbach("sweep", "configs/tiny.yaml", "run.seed=1,2")
    assert done.returncode == 2
    assert "without mpirun" in done.stderr
