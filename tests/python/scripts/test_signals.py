"""One job of each kind; `scripts/signals.sh` tries many."""

import sys

import pytest


@pytest.fixture(scope="session")
def signals(repo):
    sys.path.insert(0, str(repo / "scripts"))
    try:
        import signals
    finally:
        sys.path.pop(0)
    return signals


def test_a_trial_is_its_number_and_the_seed(signals):
    first = [signals.Trial.of(7, n) for n in range(200)]
    assert first == [signals.Trial.of(7, n) for n in range(200)]
    assert first != [signals.Trial.of(8, n) for n in range(200)]
    for name in ("signal", "target", "phase"):
        drawn = {getattr(trial, name) for trial in first}
        assert drawn == set(
            {
                "signal": signals.SIGNALS,
                "target": signals.TARGETS,
                "phase": signals.PHASES,
            }[name]
        )


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("name", "target", "phase"),
    [
        ("SIGTERM", "rank", "training"),
        ("SIGHUP", "rank", "validation"),
        ("SIGINT", "launch", "saving"),
        ("SIGTERM", "mpirun", "training"),
        ("SIGKILL", "rank", "training"),
        ("SIGUSR1", "mpirun", "training"),
    ],
)
def test_a_job_ends_as_promised(signals, tmp_path, name, target, phase):
    trial = signals.Trial(0, 2, name, target, phase, 0.2, 1)
    outcome = signals.run_trial(trial, tmp_path)
    assert outcome.sent, outcome.output
    assert not outcome.faults, outcome.output


def test_what_is_wrong_is_found(signals, tmp_path):
    trial = signals.Trial(0, 2, "SIGTERM", "rank", "training", 0.0, 0)
    outcome = signals.Outcome(trial, status=0, output="")
    signals.check(outcome, tmp_path)
    assert outcome.faults == ["exit status 0, not of [-15, 75, 143]"]
    (tmp_path / "state.json").write_text('{"state": "stopped"}')
    outcome = signals.Outcome(trial, status=143, output="")
    signals.check(outcome, tmp_path)
    assert outcome.faults == ["nobody told stopped by SIGTERM"]


def test_the_table_counts_what_was_sent(signals):
    trial = signals.Trial(0, 2, "SIGTERM", "rank", "training", 0.0, 0)
    outcomes = [
        signals.Outcome(trial, seconds=1.25),
        signals.Outcome(trial, seconds=3.5),
        signals.Outcome(trial, sent=False, seconds=9.0),
    ]
    last = signals.table(outcomes).splitlines()[-1]
    assert last == "| SIGTERM | rank |  | 2 |  |  |  |  | 3.5 s |"
