"""The hosts of a launcher's command line, and that line without one of them."""

from __future__ import annotations

import ipaddress
import math
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_HOST = ("--host", "-host", "-H")
_FILE = ("--hostfile", "-hostfile", "--machinefile", "-machinefile")
_COUNT = ("-n", "-np", "--np", "-c")
# Where Open MPI 4 and 5 look without an option; Kubernetes' operator sets them.
_DEFAULT_FILES = (
    "PRTE_MCA_prte_default_hostfile",
    "OMPI_MCA_orte_default_hostfile",
)


@dataclass(frozen=True)
class Hosts:
    """Where a launcher starts ranks.

    Attributes:
      slots: Ranks that each host takes, in the launcher's order; empty where
        the launcher was told of no hosts.
      ranks: That it starts; None where it fills all slots.
    """

    slots: Mapping[str, int]
    ranks: int | None

    @property
    def most_ranks(self) -> int:
        """That it can start: those that it was asked for, where they fit."""
        room = sum(self.slots.values())
        return room if self.ranks is None else min(self.ranks, room)

    def find(self, name: str) -> str:
        """Returns a host by what messages call it; empty for none."""
        if name in self.slots:
            return name
        short = (host for host in self.slots if _short(host) == _short(name))
        return next(short, "")

    def without(self, host: str) -> Hosts:
        """Returns the others."""
        left = {name: n for name, n in self.slots.items() if name != host}
        return Hosts(left, self.ranks)


def read_hosts(
    launcher: Sequence[str], environment: Mapping[str, str] = os.environ
) -> Hosts:
    """Finds out where a launcher starts ranks.

    Args:
      launcher: `mpirun` and its options.
      environment: That it gets: what SLURM, Kubernetes' MPI operator and the
        like say.
    """
    slots: dict[str, int] = {}
    ranks = None
    for name, value in _options(launcher):
        if name in _HOST:
            _add(slots, _of_list(value))
        elif name in _FILE:
            _add(slots, _of_file(Path(value)))
        elif name in _COUNT and value.isdigit():
            ranks = int(value)
    if not slots:
        slots = _of_environment(environment)
    return Hosts(_filled(slots, ranks or 0), ranks)


def on_hosts(launcher: Sequence[str], hosts: Hosts, ranks: int) -> list[str]:
    """Returns a launcher's command line for some hosts and ranks."""
    kept = [launcher[0]]
    words = iter(launcher[1:])
    for word in words:
        name, _, value = word.partition("=")
        if name in (*_HOST, *_FILE, *_COUNT):
            if not value:
                next(words, None)
        else:
            kept.append(word)
    places = ",".join(f"{name}:{count}" for name, count in hosts.slots.items())
    return [kept[0], "--host", places, "-n", str(ranks), *kept[1:]]


def _short(host: str) -> str:
    """A host's name without its domain; an address is whole."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.partition(".")[0]


def _filled(slots: Mapping[str, int], ranks: int) -> dict[str, int]:
    """Shares ranks out to hosts of which nobody said how many they take.

    There Open MPI starts one for each core, which only that host knows.
    """
    unsaid = sum(not count for count in slots.values())
    left = ranks - sum(slots.values())
    share = max(1, math.ceil(left / unsaid)) if unsaid else 0
    return {name: count or share for name, count in slots.items()}


def _options(launcher: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for i, word in enumerate(launcher):
        name, equals, value = word.partition("=")
        after = launcher[i + 1] if i + 1 < len(launcher) else ""
        found.append((name, value if equals else after))
    return found


def _add(slots: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        slots[name] = slots.get(name, 0) + count


def _of_list(text: str) -> dict[str, int]:
    slots: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, count = part.partition(":")
        _add(slots, {name: int(count) if count.isdigit() else 1})
    return slots


def _of_file(path: Path) -> dict[str, int]:
    """Reads a hostfile; 0 where it does not say how many ranks a host takes."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError):
        return {}  # the launcher says what is wrong with it
    slots: dict[str, int] = {}
    for line in text.splitlines():
        name, *rest = line.partition("#")[0].split() or [""]
        count = re.search(r"\bslots *= *(\d+)", " ".join(rest))
        # The MPI operator writes `host:slots`, like `--host`.
        if name and count:
            _add(slots, {name: int(count[1])})
        elif ":" in name:
            _add(slots, _of_list(name))
        elif name:
            _add(slots, {name: 0})
    return slots


def _of_environment(environment: Mapping[str, str]) -> dict[str, int]:
    for name in _DEFAULT_FILES:
        if path := environment.get(name):
            return _of_file(Path(path))
    nodes = environment.get("SLURM_JOB_NODELIST")
    tasks = environment.get("SLURM_TASKS_PER_NODE")
    if not nodes or not tasks:
        return {}
    try:
        shown = subprocess.run(
            ["scontrol", "show", "hostnames", nodes],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return {}
    return dict(zip(shown.stdout.split(), _of_tasks(tasks), strict=False))


def _of_tasks(text: str) -> list[int]:
    """Reads SLURM's `8(x2),4`."""
    found: list[int] = []
    for part in text.split(","):
        if match := re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part):
            found += [int(match[1])] * int(match[2] or 1)
    return found
