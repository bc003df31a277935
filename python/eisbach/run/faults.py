"""Why a job ended, by what it and its launcher have said."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from eisbach.run.statuses import HANG, killed_by

# As csrc/watch/report.h says it: who is late is named first.
_HANGS = re.compile(
    r"the job hangs: [^;\n]*(?:; (?P<nobody>.*)|\n  (?P<who>\S.*))"
)
_AT_FAULT = re.compile(
    r"rank \d+ \((?P<host>[^,]+), process \d+\) (is stopped|is frozen|has died)"
)
_NO_ANSWER = re.compile(r"rank \d+: its host, (?P<host>\S+), gives no answer")
_DEAD = re.compile(
    r"process rank (?P<rank>\d+) with PID \d+ on node (?P<host>\S+) exited on "
    r"signal (?P<signal>\d+)"
)
_LOST = re.compile(
    r"lost communication with a remote daemon\..*"
    r"Remote daemon *: \[\S*\] on node (?P<host>\S+)"
)
_NEVER_CAME = re.compile(
    r"daemon failed to report back .*Remote host: *(?P<host>\S+)"
)
_GONE = re.compile(
    r"peer process has unexpectedly disconnected\..*?Peer host: *(?P<host>\S+)"
)
_RESET = re.compile(r"\bpeer: (?P<host>\S+) mca_btl_tcp_")
# As csrc/train/replicas.cc says it, of one rank whose replicas agree.
_WRONG_BITS = re.compile(
    r"^eisbach: error: step \d+: (?P<cause>rank \d+ \((?P<host>[^)]+)\) holds "
    r"other bits than its replicas)",
    re.MULTILINE,
)
_ERROR = re.compile(r"^eisbach: (error: .*|rank \d+: failed)$", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """Why a job ended.

    Attributes:
      cause: In a line.
      host: Whose fault it is, by the name that the launcher has for it; empty
        where that is not known.
    """

    cause: str
    host: str = ""


def read_fault(said: str, status: int) -> Fault:
    """Finds the cause in what a job said; the surest goes first.

    Args:
      said: The end of it, with the launcher's own words; stderr first.
      status: That the job ended with.
    """
    if hangs := _HANGS.search(said):
        who = hangs["who"] or hangs["nobody"]
        at_fault = _AT_FAULT.match(who) or _NO_ANSWER.match(who)
        return Fault(
            f"the job hung: {who}", at_fault["host"] if at_fault else ""
        )
    if wrong := _WRONG_BITS.search(said):
        return Fault(wrong["cause"], wrong["host"])
    flat = re.sub(r"\s+", " ", said)  # the launcher's lines break anywhere
    if dead := _DEAD.search(flat):
        name = _signal_name(int(dead["signal"]))
        cause = f"rank {dead['rank']} on {dead['host']} was killed by {name}"
        return Fault(cause, dead["host"])
    if lost := _LOST.search(flat):
        return Fault(f"the host {lost['host']} was lost", lost["host"])
    if absent := _NEVER_CAME.search(flat):
        host = absent["host"]
        return Fault(f"no rank could be started on the host {host}", host)
    if gone := _GONE.search(flat) or _RESET.search(flat):
        host = gone["host"]
        return Fault(f"a rank on {host} was gone all at once", host)
    if told := _ERROR.search(said):
        return Fault(told[1])
    return Fault(_spell(status))


def _spell(status: int) -> str:
    if status == HANG:
        return "the job hung"
    number = status - killed_by(0)
    if number in signal.valid_signals():
        return f"the launcher was killed by {_signal_name(number)}"
    return f"the launcher ended with {status}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
