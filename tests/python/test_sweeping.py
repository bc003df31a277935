import sys

import pytest

from eisbach.config import ConfigError
from eisbach.sweeping import commands, plan, run, values


@pytest.mark.parametrize(
    ("override", "found"),
    [
        (
            "optimizer.lr=1e-3,3e-3",
            ["optimizer.lr=0.001", "optimizer.lr=0.003"],
        ),
        ("run.name=a", ["run.name=a"]),
        (
            "optimizer.betas=[0.9, 0.95],[0.8, 0.9]",
            ["optimizer.betas=[0.9, 0.95]", "optimizer.betas=[0.8, 0.9]"],
        ),
        ('run.name="a,b",c', ['run.name="a,b"', "run.name=c"]),
        ('run.name="1",2', ['run.name="1"', "run.name=2"]),
    ],
)
def test_commas_divide_values(override, found):
    assert values(override) == found


@pytest.mark.parametrize("override", ["optimizer.lr=", "optimizer.lr"])
def test_a_key_without_a_value_is_an_error(override):
    with pytest.raises(ConfigError, match=r"optimizer\.lr: no value"):
        values(override)


@pytest.fixture
def tiny(repo):
    return repo / "configs" / "tiny.yaml"


def test_every_combination_has_a_folder_of_its_own(tiny, tmp_path):
    (tmp_path / "tiny-lr-0.001-layers-2").mkdir()
    trials = plan(
        tiny,
        [
            f"run.dir={tmp_path}",
            "optimizer.lr=1e-3,3e-3",
            "model.layers=2,4",
            "train.steps=5",
        ],
        1,
    )
    assert [trial.folder.name for trial in trials] == [
        "tiny-lr-0.001-layers-2-2",
        "tiny-lr-0.001-layers-4",
        "tiny-lr-0.003-layers-2",
        "tiny-lr-0.003-layers-4",
    ]
    assert trials[1].keys[1:] == (
        "optimizer.lr=0.001",
        "model.layers=4",
        "train.steps=5",
    )


def test_no_run_starts_when_one_does_not_fit(tiny):
    with pytest.raises(ValueError, match="heads=5 does not divide"):
        plan(tiny, ["model.heads=4,5"], 1)


def test_each_trial_is_a_command(tiny, tmp_path):
    trials = plan(tiny, [f"run.dir={tmp_path}", "run.seed=1,2"], 2)
    first, second = commands(tiny, trials, 2)
    assert first[0].endswith("mpirun")
    assert first[1:7] == ["-n", "2", sys.executable, "-m", "eisbach", "train"]
    assert "run.seed=2" in second
    assert second[-1] == "run.name=tiny-seed-2"


@pytest.mark.parametrize(
    ("code", "status"),
    [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_the_status_of_a_run_is_told(code, status):
    assert run([sys.executable, "-c", code]) == status


def test_a_signal_reaches_the_run():
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: exit(0))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "time.sleep(300)"
    )
    assert run([sys.executable, "-c", code]) == 143


@pytest.mark.parametrize("values", ["1e-3,0.001", "1,2,1.0"])
def test_a_run_comes_once(tiny, tmp_path, values):
    with pytest.raises(ValueError, match=r"optimizer\.lr=.*: the same run as"):
        plan(tiny, [f"run.dir={tmp_path}", f"optimizer.lr={values}"], 1)
