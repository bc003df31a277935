"""Hosts that are made up.

A host is a network namespace of the test's own, and what would log in there a
script: `ip netns exec`. Nothing outside of them is touched.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest


def ip(*arguments):
    return subprocess.run(
        ["ip", *arguments], check=True, capture_output=True, text=True
    ).stdout


class Hosts:
    """Namespaces that a switch joins, which is a namespace, too."""

    def __init__(self, folder, count=2):
        self.switch = f"eisbach{os.getpid()}"
        self.names = [f"h{i}" for i in range(1, count + 1)]
        self.spaces = {name: f"{self.switch}{name}" for name in self.names}
        self.agent = folder / "agent"
        self.agent.write_text(
            "#!/bin/sh\n"
            "# As ssh does it: little of what is set here is set there.\n"
            'host="$1"; shift\n'
            'exec env -i HOME="$HOME" PATH=/usr/bin:/bin'
            f' ip netns exec {self.switch}"$host"'
            ' unshare --uts sh -c "hostname $host; $*"\n'
        )
        self.agent.chmod(0o755)

    def __enter__(self):
        for space in (self.switch, *self.spaces.values()):
            ip("netns", "add", space)
            ip("-n", space, "link", "set", "lo", "up")
        ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
        ip("-n", self.switch, "link", "set", "br0", "up")
        for number, (name, space) in enumerate(self.spaces.items(), 1):
            ip("link", "add", "net0", "netns", space, "type", "veth", "peer",
               "name", name, "netns", self.switch)  # fmt: skip
            ip("-n", self.switch, "link", "set", name, "master", "br0", "up")
            ip(
                "-n",
                space,
                "addr",
                "add",
                f"198.18.0.{number}/24",
                "dev",
                "net0",
            )
            ip("-n", space, "link", "set", "net0", "up")
            resolved = Path("/etc/netns", space)
            resolved.mkdir(parents=True)
            lines = [f"198.18.0.{i} {n}" for i, n in enumerate(self.names, 1)]
            (resolved / "hosts").write_text("\n".join(lines) + "\n")
        return self

    def __exit__(self, *_):
        for space in (*self.spaces.values(), self.switch):
            for pid in ip("netns", "pids", space).split():
                os.kill(int(pid), signal.SIGKILL)
            ip("netns", "del", space)
            shutil.rmtree(f"/etc/netns/{space}", ignore_errors=True)

    def on(self, name):
        """What a command on a host begins with."""
        inside = f'hostname {name}; exec "$@"'
        return ("ip", "netns", "exec", self.spaces[name], "unshare", "--uts",
                "sh", "-c", inside, "sh")  # fmt: skip

    def pids(self, name, command=""):
        """Processes of a host whose command line has a word."""
        found = []
        for pid in ip("netns", "pids", self.spaces[name]).split():
            try:
                line = Path("/proc", pid, "cmdline").read_text()
            except OSError:
                continue
            if command in line:
                found.append(int(pid))
        return found

    def cut(self, name):
        """Pulls the cable of a host out of the switch."""
        ip("-n", self.switch, "link", "set", name, "down")


@pytest.fixture
def hosts(tmp_path):
    """Two hosts; the test fails where there can be none."""
    if not shutil.which("ip"):
        pytest.fail("no command `ip`: apt-get install iproute2")
    try:
        ip("netns", "list")
        with Hosts(tmp_path) as made:
            yield made
    except subprocess.CalledProcessError as error:
        pytest.fail(
            "no network namespaces of its own (they need root or "
            f"CAP_SYS_ADMIN): {error.stderr}"
        )
