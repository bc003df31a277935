import pytest

from eisbach.config import load_config, resolve
from eisbach.run.command import TrainCommand
from eisbach.run.failed_hosts import FailedHosts
from eisbach.run.folder import RunFolder

LAUNCHER = ["mpirun", "-n", "6", "--host", "a:2,b:2,c:2"]


@pytest.fixture
def folder(tmp_path):
    """Of a run of 6 ranks, two for each part of the batch."""
    file = tmp_path / "r.yaml"
    file.write_text(
        "model: {layers: 2, hidden: 32, heads: 4, context: 16}\n"
        "train: {global_batch: 12, micro_batch: 1}\n"
        "parallel: {tensor: 2, data: 3}\n"
        "run: {device: cpu}\n"
    )
    folder = RunFolder.create(tmp_path, "r")
    folder.write_config(resolve(load_config(file), file=file))
    return folder


def job(*keys, launcher=LAUNCHER):
    return TrainCommand([*launcher, "eisbach", "train", "r.yaml", *keys])


def test_a_second_fault_leaves_a_host_out(folder):
    failed, command = FailedHosts(), job()
    assert not failed.after("b.cluster", command, str(folder.path))
    assert not failed.after("a", command, str(folder.path))
    assert not failed.after("", command, str(folder.path))
    assert command.launcher == LAUNCHER
    told = failed.after("b", command, str(folder.path))
    assert told == "b has failed 2 times and is left out: 4 ranks on a, c"
    assert command.launcher == ["mpirun", "--host", "a:2,c:2", "-n", "4"]
    # What is left is one host: it stays, however often it fails.
    told = failed.after("a", command, str(folder.path))
    assert told.endswith("2 ranks on c")
    assert not failed.after("c", command, str(folder.path))
    told = failed.after("c", command, str(folder.path))
    assert told == "c has failed 2 times, but there is no other host"


def test_the_batch_must_divide(folder):
    launcher = ["mpirun", "--host", "a:7,b:7,c:3"]
    command = job(launcher=launcher)
    failed = FailedHosts()
    for _ in range(2):
        told = failed.after("c", command, str(folder.path))
    # 14 slots: 7 and 5 data ranks do not divide the batch of 12.
    assert "12 ranks on a, b" in told


def test_a_layout_that_is_given_is_kept(folder):
    command = job("parallel.data=3")
    failed = FailedHosts()
    for _ in range(2):
        told = failed.after("b", command, str(folder.path))
    assert told == (
        "b has failed 2 times, but the run does not fit the 4 ranks of the "
        "other hosts"
    )
    assert command.launcher == LAUNCHER


def test_a_run_that_never_began_takes_what_there_is():
    command, failed = job(), FailedHosts()
    for _ in range(2):
        told = failed.after("a", command, "")
    assert told.endswith("4 ranks on b, c")


@pytest.mark.parametrize("launcher", [[], ["mpirun", "-n", "2"]])
def test_where_no_hosts_are_named_none_is_left_out(launcher):
    command, failed = job(launcher=launcher), FailedHosts()
    for _ in range(3):
        assert not failed.after("a", command, "")
    assert command.launcher == launcher
