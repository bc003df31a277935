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
GONE = """\
An MPI communication peer process has unexpectedly disconnected.  This
usually indicates a failure in the peer process (e.g., a crash or
generally: such peer hangups are frequently caused by application bugs

  Local host: h1
  Local PID:  29000
  Peer host:  h2
"""
ABSENT = """\
A daemon failed to report back after being spawned. This could
be due to several factors, including inability to find the

  Local host:    h1
  Remote host:   h2
  Daemon exit status: 0
"""


WRONG_BITS = """\
eisbach: error: step 600: rank 5 (h2) holds other bits than its replicas on \
ranks 1 (h1), 9 (h3), first in blocks.4.mlp.up.weight
"""
STOPPED = """\
eisbach: the job hangs: no progress for 5 s (fault.hang_seconds)
  rank 1 (h2, process 71) is stopped by a signal or a debugger, in step 7; \
rank 0 waits for it in all_reduce 57 of "data", 4,096 bytes of f32 since 5.1 s
    rank 0 (h1, process 70): in step 7
prterun noticed that process rank 1 with PID 71 on node h2 exited on
signal 9 (Killed).
"""
CUT = """\
eisbach: the job hangs: no progress for 5 s (fault.hang_seconds)
  rank 2: its host, h2, gives no answer; 2 ranks wait for it
"""
TRANSPORT = """\
eisbach: the job hangs: no progress for 5 s (fault.hang_seconds)
  all ranks have come to all_reduce 57 of "data", and its data does not; \
rank 0 (h1, process 70) is one of them, in step 7
    rank 0 (h1, process 70): in step 7
"""
NOBODY = """\
eisbach: the job hangs: no progress for 5 s (fault.hang_seconds); all ranks \
wait for one another
    rank 0 (h1, process 70): in step 7
"""
LATE = """\
eisbach: the job hangs: no progress for 5 s (fault.hang_seconds)
  rank 1 (h2, process 71) runs and does not go on since 5.0 s, in step 7
"""


@pytest.mark.parametrize(
    ("said", "status", "fault"),
    [
        (
            STOPPED,
            HANG,
            Fault(f"the job hung: {STOPPED.splitlines()[1].strip()}", "h2"),
        ),
        (
            CUT,
            HANG,
            Fault(f"the job hung: {CUT.splitlines()[1].strip()}", "h2"),
        ),
        (
            TRANSPORT,
            HANG,
            Fault(f"the job hung: {TRANSPORT.splitlines()[1].strip()}"),
        ),
        (NOBODY, HANG, Fault("the job hung: all ranks wait for one another")),
        # Code may be late on any host.
        (
            LATE,
            HANG,
            Fault(f"the job hung: {LATE.splitlines()[1].strip()}"),
        ),
        (DEAD, 137, Fault("rank 2 on h2 was killed by SIGKILL", "h2")),
        (
            DEAD.replace("signal 9", "signal 63"),
            1,
            Fault("rank 2 on h2 was killed by signal 63", "h2"),
        ),
        (LOST, 1, Fault("the host h2 was lost", "h2")),
        (
            GONE,
            14,
            Fault("a rank on h2 was gone all at once", "h2"),
        ),
        (
            "*** on a NULL communicator\n[h1][[6,1],1][btl_tcp_frag.c:127] "
            "peer: h2 mca_btl_tcp_frag_send: writev failed: Connection reset",
            14,
            Fault("a rank on h2 was gone all at once", "h2"),
        ),
        (GONE + DEAD, 137, Fault("rank 2 on h2 was killed by SIGKILL", "h2")),
        (ABSENT, 1, Fault("no rank could be started on the host h2", "h2")),
        (
            "step 1\neisbach: error: rank 3: disk is full\nmore\n",
            1,
            Fault("error: rank 3: disk is full"),
        ),
        (
            WRONG_BITS + DEAD,
            1,
            Fault("rank 5 (h2) holds other bits than its replicas", "h2"),
        ),
        ("", HANG, Fault("the job hung")),
        ("", 137, Fault("the launcher was killed by SIGKILL")),
        ("", 255, Fault("the launcher ended with 255")),
        ("", 7, Fault("the launcher ended with 7")),
    ],
)
def test_the_surest_cause_is_told(said, status, fault):
    assert read_fault(said, status) == fault
