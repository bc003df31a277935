from pathlib import Path

import pytest

from eisbach.run.command import TrainCommand

MPIRUN = ("mpirun", "-n", "4")


@pytest.mark.parametrize(
    "program",
    [
        ("eisbach", "train"),
        ("/opt/venv/bin/eisbach", "train"),
        ("python", "-m", "eisbach", "train"),
    ],
)
@pytest.mark.parametrize("launcher", [(), MPIRUN])
def test_the_same_command_starts_and_goes_on(launcher, program):
    command = TrainCommand([*launcher, *program, "my.yaml", "a.b=train"])
    assert command.launcher == list(launcher)
    assert command.arguments == ["my.yaml", "a.b=train"]
    words = [*launcher, *program, "my.yaml", "a.b=train", "--auto-resume"]
    assert command.start() == words
    command.go_on(Path("/runs/my"))
    assert command.start() == words
    assert TrainCommand(words).start() == words


@pytest.mark.parametrize(
    ("given", "later"),
    [
        (["--resume", "r/checkpoints/step-5"], ["--resume", "/runs/my"]),
        (["--resume=r"], ["--resume=/runs/my"]),
    ],
)
def test_a_run_that_is_named_stays_the_run(given, later):
    start = [*MPIRUN, "eisbach", "train"]
    command = TrainCommand([*start, *given, "train.steps=9"])
    assert command.start() == [*start, *given, "train.steps=9"]
    command.go_on(Path("/runs/my"))
    assert command.start() == [*start, *later, "train.steps=9"]


@pytest.mark.parametrize(
    "words",
    [["mpirun", "-n", "2", "python", "train.py"], ["eisbach", "sample"]],
)
def test_what_does_not_train_is_refused(words):
    with pytest.raises(ValueError, match=r"no `eisbach train` in it.*as in"):
        TrainCommand(words)
