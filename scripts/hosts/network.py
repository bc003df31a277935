"""Hosts that are made up, a switch between them, and what can befall both.

A host is a process in namespaces of its own (network, processes, name, mounts),
with what runs on it; the switch is a namespace, too. All of it ends with the
process that made it. Nothing outside is touched. Needs root.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from hosts.freezer import Freezer

_HERE = Path(__file__).resolve().parent
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def missing() -> list[str]:
    """The commands that are not there."""
    wanted = ("ip", "tc", "nsenter", "unshare", "mount")
    return [name for name in wanted if not shutil.which(name)]


class Hosts:
    """Some hosts and their switch, inside its context.

    Attributes:
      names: Of the hosts: h1, h2, ...
      agent: What mpirun logs in by, as its `plm_ssh_agent`.
    """

    def __init__(self, count: int = 2, *, patience: float = 5.0):
        """Makes nothing yet; `patience` is that of a login, in seconds."""
        self._patience = patience
        self.names = [f"h{number}" for number in range(1, count + 1)]
        self._folder = Path(tempfile.mkdtemp(prefix="eisbach-hosts-"))
        self.agent = self._folder / "agent"
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._switch: subprocess.Popen[str] | None = None
        self._cables: list[subprocess.Popen[str]] = []
        self._freezers: dict[str, Freezer] = {}
        self._timers: list[threading.Timer] = []

    def __enter__(self) -> Hosts:
        try:
            self._write_files()
            wait = "echo ready; exec sleep infinity"
            self._switch = _start("unshare", "--net", "sh", "-c", wait)
            self._on_switch("link", "add", "br0", "type", "bridge")
            self._on_switch("link", "set", "br0", "up")
            for name in self.names:
                self.start(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for timer in self._timers:
            timer.cancel()
            timer.join()
        for name in list(self._processes):
            self.thaw(name)
            self._kill(name)
        for process in (*self._cables, self._switch):
            if process:
                process.kill()
                process.communicate()
        for freezer in self._freezers.values():
            freezer.remove()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, name: str) -> None:
        """Starts a host, the first time or after its end."""
        (self._folder / f"{name}.sock").unlink(missing_ok=True)
        shutil.rmtree(self.folder(name), ignore_errors=True)
        self.folder(name).mkdir()
        spaces = ("--net", "--uts", "--ipc", "--pid", "--mount")
        self._processes[name] = _start(
            *("unshare", *spaces, "--fork", "--kill-child", "--mount-proc"),
            *(sys.executable, "-S", str(_HERE / "machine.py")),
            *(str(self._folder), name),
        )
        self._connect(name)

    def is_up(self, name: str) -> bool:
        """Whether a host is there."""
        return name in self._processes

    def folder(self, name: str) -> Path:
        """For the temporary files of a host."""
        return self._folder / name

    def on(self, name: str) -> tuple[str, ...]:
        """What a command that shall run on a host begins with."""
        login = str(_HERE / "login.py")
        return (sys.executable, "-S", login, str(self._folder), name)

    def pids(self, name: str, command: str = "") -> list[int]:
        """Processes of a host whose command line has a word."""
        first = self._first(name)
        space = _space(first)
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == first:
                continue
            try:
                if space and _space(int(entry.name)) == space:
                    line = (entry / "cmdline").read_text(errors="replace")
                    if line and command in line:  # that of a zombie is empty
                        found.append(int(entry.name))
            except OSError:
                continue
        return found

    def memory(self, name: str) -> list[str]:
        """The files in the shared memory of a host."""
        return os.listdir(f"/proc/{self._first(name)}/root/dev/shm")

    def cut(self, name: str, seconds: float | None = None) -> None:
        """Pulls the cable of a host out of the switch, for a while or for good.

        Args:
          name: Of the host.
          seconds: After which it is put back.
        """
        self._on_switch("link", "set", name, "down")
        if seconds is not None:
            self._timers.append(threading.Timer(seconds, self.join, [name]))
            self._timers[-1].start()

    def join(self, name: str) -> None:
        """Puts it back."""
        self._on_switch("link", "set", name, "up")

    def throttle(self, name: str, *, megabits: float) -> None:
        """Lets a cable carry so many megabits a second each way."""
        for pid, device in self._ends(name):
            _tc(
                *(pid, "replace", device, "root", "tbf"),
                *("rate", f"{megabits}mbit", "burst", "32kb"),
                *("latency", "400ms"),
            )

    def unthrottle(self, name: str) -> None:
        """Lets it carry all that it can again."""
        for pid, device in self._ends(name):
            _tc(pid, "del", device, "root")

    def _ends(self, name: str) -> tuple[tuple[int, str], tuple[int, str]]:
        assert self._switch
        return (self._switch.pid, name), (self._first(name), "net0")

    def worsen(self, name: str, *, loss: float, delay: float) -> None:
        """Puts a bad cable between a host and the switch.

        Args:
          name: Of the host.
          loss: Share of the frames.
          delay: Seconds, each way.
        """
        one, other = f"{name}-a", f"{name}-b"
        assert self._switch
        self._cables.append(
            _start(
                *("nsenter", "--net", "-t", str(self._switch.pid)),
                *(sys.executable, "-S", str(_HERE / "bad_cable.py")),
                *(one, other, str(loss), str(delay)),
            )
        )
        bridge = f"{name}-br"
        self._on_switch("link", "add", bridge, "type", "bridge")
        for device, master in (
            (one, "br0"),
            (other, bridge),
            (name, bridge),
        ):
            self._on_switch("link", "set", device, "master", master, "up")
        self._on_switch("link", "set", bridge, "up")
        # Three frames that are lost in a row would be "no route to host".
        for host in self.names:
            _ip(
                *(self._first(host), "ntable", "change", "name", "arp_cache"),
                *("dev", "net0", "mcast_probes", "10"),
            )

    def mend(self, name: str) -> None:
        """Puts a good one in its place."""
        self._on_switch("link", "set", name, "master", "br0")

    def freeze(self, name: str, pids: list[int] | None = None) -> None:
        """Lets nothing on a host run any more, or only some processes not."""
        every = [self._first(name), *self.pids(name)]
        if name not in self._freezers:
            self._freezers[name] = Freezer(f"{self._folder.name}-{name}")
        self._freezers[name].freeze(every if pids is None else pids)

    def thaw(self, name: str) -> None:
        """Lets it run again."""
        if freezer := self._freezers.get(name):
            freezer.thaw()

    def stop(self, name: str) -> None:
        """Sends SIGSTOP to all of a host."""
        self._signal(name, signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        """Sends SIGCONT to all of a host."""
        self._signal(name, signal.SIGCONT)

    def lose(self, name: str) -> None:
        """Ends a host as a loss of power does: nothing is told to others."""
        self.cut(name)
        self._kill(name)
        with contextlib.suppress(OSError):  # it goes with the host, some time
            self._on_switch("link", "del", name)

    def _signal(self, name: str, number: int) -> None:
        for pid in (*self.pids(name), self._first(name)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _kill(self, name: str) -> None:
        process = self._processes.pop(name)
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(self._first_of(process), signal.SIGKILL)
        process.kill()
        process.communicate()

    def _first(self, name: str) -> int:
        process = self._processes.get(name)
        return self._first_of(process) if process else 0

    @staticmethod
    def _first_of(process: subprocess.Popen[str]) -> int:
        task = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        return int(task.read_text().split()[0])

    def _on_switch(self, *words: str) -> None:
        assert self._switch
        _ip(self._switch.pid, *words)

    def _connect(self, name: str) -> None:
        first = self._first(name)
        assert self._switch
        number = self.names.index(name) + 1
        # The same after each start, as others remember it.
        hardware = f"02:00:00:00:00:{number:02x}"
        _run(
            *("ip", "link", "add", "net0", "address", hardware),
            *("netns", str(first), "type", "veth"),
            *("peer", "name", name, "netns", str(self._switch.pid)),
        )
        self._on_switch("link", "set", name, "master", "br0", "up")
        address = f"198.18.0.{number}/24"
        _ip(first, "addr", "add", address, "dev", "net0")
        _ip(first, "link", "set", "net0", "up")

    def _write_files(self) -> None:
        lines = ["127.0.0.1 localhost"]
        lines += [f"198.18.0.{i} {n}" for i, n in enumerate(self.names, 1)]
        (self._folder / "hosts").write_text("\n".join(lines) + "\n")
        self.agent.write_text(
            f"#!/bin/sh\nexec {sys.executable} -S {_HERE}/login.py "
            f'--ssh={self._patience} {self._folder} "$@"\n'
        )
        self.agent.chmod(0o755)


def _space(pid: int) -> str:
    """The process namespace of a process; empty where it has gone."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")
    return ""


def _start(*words: str) -> subprocess.Popen[str]:
    """Starts what ends with this process, and waits until it is ready."""
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: ctypes.CDLL(None).prctl(
            _PR_SET_PDEATHSIG, signal.SIGKILL
        ),
    )
    assert process.stdout
    if process.stdout.readline() != "ready\n":
        process.kill()
        _, errors = process.communicate()
        raise OSError(f"{' '.join(words)}: {errors.strip()}")
    return process


def _ip(pid: int, *words: str) -> None:
    _run("nsenter", "--net", "-t", str(pid), "ip", *words)


def _tc(pid: int, verb: str, device: str, *words: str) -> None:
    tc = ("tc", "qdisc", verb, "dev", device)
    _run("nsenter", "--net", "-t", str(pid), *tc, *words)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")
