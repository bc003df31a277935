import pytest

from eisbach.run.faults import Fault, read_fault
from eisbach.run.statuses import HANG

# As Open MPI 5.0 says it; where lines break depends on their words.
DEAD = """\
eisbach: error: rank 0: a peer is gone
--------------------------------------------------------------------------
prterun noticed that process rank 2 with PID 9274 on node h2 exited on
signal 9 (Killed).
--------------------------------------------------------------------------
"""
LOST = """\
PRTE has lost communication with a remote daemon.

  HNP daemon   : [prterun-h1-9433@0,0] on node h1
  Remote daemon: [prterun-h1-9433@0,1] on node h2

This is usually due to either a failure of the TCP network
"""
ABSENT = """\
A daemon failed to report back after being spawned. This could
be due to several factors, including inability to find the

  Local host:    h1
  Remote host:   h2
  Daemon exit status: 0
"""


@pytest.mark.parametrize(
    ("said", "status", "fault"),
    [
        (DEAD, 137, Fault("rank 2 on h2 was killed by SIGKILL", "h2")),
        (
            DEAD.replace("signal 9", "signal 63"),
            1,
            Fault("rank 2 on h2 was killed by signal 63", "h2"),
        ),
        (LOST, 1, Fault("the host h2 was lost", "h2")),
        (ABSENT, 1, Fault("no rank could be started on the host h2", "h2")),
        (
            "step 1\neisbach: error: rank 3: disk is full\nmore\n",
            1,
            Fault("error: rank 3: disk is full"),
        ),
        ("", HANG, Fault("a rank made no progress")),
        ("", 137, Fault("the launcher was killed by SIGKILL")),
        ("", 7, Fault("the launcher ended with 7")),
    ],
)
def test_the_surest_cause_is_told(said, status, fault):
    assert read_fault(said, status) == fault
