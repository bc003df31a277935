import pytest

from eisbach.cli.doctor import _print

CHECKS = (
    "matmul",
    "copy",
    "all-reduce of all",
    "all-to-all of all",
    "pairs in a domain",
)


def test_without_options_it_looks_at_the_machine(eisbach):
    done = eisbach("doctor")
    assert "cpu" in done.stdout
    assert "mpirun" in done.stdout


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [2, 4])
def test_a_slow_rank_is_named(eisbach, ranks):
    slow = ranks - 1
    done = eisbach(
        *("doctor", "--network", "--device", "cpu"),
        *("--pretend-slow", slow),
        ranks=ranks,
    )
    assert done.returncode == 0, done.stderr
    for check in CHECKS:
        assert check in done.stdout
    assert f"domain 0: {ranks} ranks, 0-{ranks - 1}" in done.stdout
    _, _, outliers = done.stdout.partition("slower than 0.8")
    named = [line for line in outliers.split("\n") if f"rank {slow} (" in line]
    assert any("matmul" in line for line in named), done.stdout
    assert any("copy" in line for line in named), done.stdout


@pytest.mark.mpi
def test_strict_fails_when_something_is_slow(eisbach):
    done = eisbach(
        *("doctor", "--network", "--device", "cpu"),
        *("--pretend-slow", 0, "--strict"),
        ranks=2,
    )
    assert done.returncode == 1
    assert "rank 0 (" in done.stdout


def test_alone_there_is_no_network_but_a_device(eisbach):
    done = eisbach("doctor", "--network", "--device", "cpu", "--strict")
    assert done.returncode == 0, done.stderr
    assert "matmul" in done.stdout
    assert "all-reduce" not in done.stdout
    assert "nothing is slower" in done.stdout


def test_a_rank_that_is_not_there_is_refused(eisbach):
    done = eisbach(
        *("doctor", "--network", "--device", "cpu", "--pretend-slow", 3)
    )
    assert done.returncode == 1
    assert "--pretend-slow=3 is no rank of 1" in done.stderr
    assert "nearest that works: 0" in done.stderr


def test_long_findings_are_folded(capsys):
    _print("ok    core         ", "name of a version, " * 20)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= 80
    assert {line[:19] for line in lines[1:]} == {" " * 19}
