"""Hosts that are made up: apart, and breakable."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
from hosts.__main__ import Result, table
from hosts.cases import CASES
from hosts.network import Hosts
from torture.trial import OTHERS


@pytest.fixture
def hosts():
    try:
        with Hosts(patience=1.0) as made:
            yield made
    except OSError as error:
        pytest.fail(f"no namespaces of its own (they need root): {error}")


def on(hosts, name, *words):
    done = subprocess.run(
        [*hosts.on(name), *words], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.strip()


def logged_in(hosts):
    """What h1 gets from h2."""
    return on(hosts, "h1", str(hosts.agent), "h2", "hostname;", "exit 3")


def test_hosts_see_one_another_by_the_network_alone(hosts):
    assert logged_in(hosts) == (3, "h2")
    sleeper = subprocess.Popen([*hosts.on("h2"), "sleep", "600"])
    on(hosts, "h2", "touch", "/dev/shm/there")
    while not hosts.pids("h2", "sleep"):
        assert sleeper.poll() is None
    assert hosts.memory("h2") == ["there"]
    assert not hosts.pids("h1")
    assert not hosts.memory("h1")
    code, shown = on(hosts, "h1", "ps", "ax")
    assert code == 0
    assert "sleep" not in shown
    hosts.lose("h2")
    assert sleeper.wait() == 255  # as ssh does
    assert logged_in(hosts) == (255, "")
    hosts.start("h2")
    assert logged_in(hosts) == (3, "h2")


@pytest.mark.parametrize(
    ("fault", "mend"), [("cut", "join"), ("freeze", "thaw"), ("stop", "go_on")]
)
def test_a_host_is_broken_and_mended(hosts, fault, mend):
    getattr(hosts, fault)("h2")
    assert logged_in(hosts) == (255, "")
    getattr(hosts, mend)("h2")
    assert logged_in(hosts) == (3, "h2")


KNOCKS = """
import socket, time
start = time.monotonic()
socket.create_connection(("h2", 22))
print(time.monotonic() - start)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(200):
    sender.sendto(b"x", ("h2", 9))
    time.sleep(0.001)
"""


def test_a_bad_cable_loses_some_and_is_late(hosts):
    hosts.worsen("h2", loss=0.2, delay=0.05)
    code, seconds = on(hosts, "h1", sys.executable, "-c", KNOCKS)
    assert code == 0
    assert float(seconds) > 0.1  # both ways
    _, shown = on(hosts, "h2", "cat", "/proc/net/snmp")
    names, counts = re.findall(r"^Udp: (.*)$", shown, re.MULTILINE)
    # Nobody listens there.
    came = dict(zip(names.split(), counts.split(), strict=True))["NoPorts"]
    assert 100 < int(came) < 190


def test_the_table_says_what_came_of_it():
    case = CASES[0]
    fine = Result(
        case, 3.21, 76, "it hung: rank 2; others wait", 9.0, same=True
    )
    lost = Result(
        case, ranks=2, faults=["left: h1: process 7", "its end: left"]
    )
    wrong = Result(case, faults=[OTHERS])
    rows = table([fine, lost, wrong]).splitlines()[2:]
    assert rows == [
        f"| {case.name} | 3 | 3.2 s | 76 | it hung: rank 2 | 9.0 s | 4 | "
        "same bits | nothing |",
        f"| {case.name} | 3 | - | - | - | - | 2 | not compared | 1 |",
        f"| {case.name} | 3 | - | - | - | - | 4 | OTHERS | nothing |",
    ]


def test_a_case_waits_for_one_thing():
    for case in CASES:
        assert case.status in (None, 76, 137), case.name
        assert isinstance(case.link, str), case.name
        assert not (case.named and case.link), case.name
    assert sum(bool(case.link) for case in CASES) == 3
