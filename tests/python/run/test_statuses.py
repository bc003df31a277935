import signal

import pytest

from eisbach import _C
from eisbach.run import statuses


def test_every_status_says_one_thing():
    told = [
        statuses.DONE,
        statuses.ERROR,
        statuses.USAGE,
        statuses.REQUEUE,
        statuses.HANG,
        statuses.DO_NOT_REQUEUE,
    ]
    assert told == [0, 1, 2, 75, 76, 93]
    assert statuses.HANG == _C.HANG_STATUS
    # A shell and POSIX keep those above for signals and programs not found.
    assert max(told) < 126


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGTERM, 75),
        (signal.SIGUSR1, 75),
        (signal.SIGALRM, 75),
        (signal.SIGINT, 130),
        (signal.SIGHUP, 129),
        (0, 0),
    ],
)
def test_a_scheduler_stops_a_run_for_later_and_a_person_for_good(
    number, status
):
    assert statuses.stopped_by(number) == status
    assert statuses.is_final(status)


@pytest.mark.parametrize("status", [1, 76, 134, 137, 143])
def test_faults_are_worth_another_start(status):
    assert not statuses.is_final(status)


def test_the_table_of_the_docs_has_them_all(repo):
    text = (repo / "docs/launch.md").read_text()
    for status in (0, 1, 2, 75, 76, 93):
        assert f"| {status} |" in text
