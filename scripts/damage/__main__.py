"""Damages every file that a run reads and checks what becomes of it.

    scripts/damage.sh                     all, about 10 minutes on two cores
    scripts/damage.sh --only manifest     those whose name or file holds a word
    scripts/damage.sh --list              what would be done

Each command must end within 10 s (or, on a busy machine, three times what it
takes undamaged), with an exit code, one line that names file and fault, and no
process left; or, where the run needs nothing of what is damaged, work.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from damage import base, checkpoints, inputs
from damage.case import Case

LIMIT = 10.0
MARK = "eisbach: error: "


@dataclass(frozen=True)
class Outcome:
    """What became of a case; `fault` is empty if it went as expected."""

    case: Case
    seconds: float
    line: str
    fault: str


def attempt(case: Case, number: int, folder: Path, limit: float) -> Outcome:
    """Runs a case in a copy of its base."""
    home = folder / f"case-{number}"
    base.copy(folder / f"base-{case.ranks}", home)
    case.damage(home / case.file)
    mark = f"{folder.name}-{number}-"
    told = base.environment(mark, folder / "cache")
    start = time.monotonic()
    process = subprocess.Popen(
        base.command(case), cwd=home, env=told, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    late = False
    try:
        _, errors = process.communicate(timeout=3 * limit)
    except subprocess.TimeoutExpired:
        late = True
        _end(mark)
        _, errors = process.communicate()
    seconds = time.monotonic() - start
    left = _wait_for_end(mark, start + limit)
    _end(mark)
    shutil.rmtree(home, ignore_errors=True)
    lines = [line for line in errors.splitlines() if MARK in line]
    fault = _fault(case, process.returncode, lines, errors)
    if left:
        fault = f"left {left} processes"
    if late or seconds > limit:
        fault = f"took {seconds:.0f} s"
    return Outcome(case, seconds, lines[0] if lines else "", fault)


def _fault(case: Case, code: int, lines: list[str], errors: str) -> str:
    last = errors.strip().splitlines()[-1:] or ["nothing told"]
    if case.works:
        return f"failed: {last[0]}" if code else ""
    if code == 0:
        return "went on"
    if code < 0:
        return f"died of signal {-code}"
    if "Traceback" in errors:
        return f"a trace: {last[0]}"
    if len(lines) != 1:
        return f"{len(lines)} lines: {last[0]}"
    told = lines[0].partition(MARK)[2]
    name = case.names or Path(case.file).name
    if name not in told:
        return f"does not name {name}"
    if not re.search(case.says, told):
        return f"does not say {case.says}"
    return ""


def _processes(mark: str) -> list[int]:
    """Those that were started with a mark that begins so."""
    wanted = f"EISBACH_DAMAGE={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in entry.read_bytes():  # that of a zombie is empty
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def _wait_for_end(mark: str, deadline: float) -> int:
    while (left := len(_processes(mark))) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _end(mark: str) -> None:
    for process in _processes(mark):
        os.kill(process, signal.SIGKILL)


def select(words: list[str]) -> list[Case]:
    """Returns the cases whose name, file or command holds every word."""
    return [
        case
        for case in (*checkpoints.cases(), *inputs.cases())
        if all(
            w in f"{case.name} {case.file} {case.command[0]} {case.ranks}"
            for w in words
        )
    ]


def run(cases: list[Case], *, jobs: int) -> list[Outcome]:
    """Runs cases, `jobs` at a time, each told as it ends."""
    folder = Path(tempfile.mkdtemp(prefix="eisbach-damage-"))
    pool = ThreadPoolExecutor(jobs)
    try:
        told = base.environment(f"{folder.name}-base", folder / "cache")
        limits = {}
        for ranks in sorted({case.ranks for case in cases}):
            base.make(folder, ranks, told)
            whole = Case("", "", lambda path: None, ranks=ranks, works=True)
            sound = attempt(whole, -ranks, folder, 10 * LIMIT)
            if sound.fault:
                sys.exit(f"undamaged, on {ranks} ranks: {sound.fault}")
            limits[ranks] = max(LIMIT, 3 * sound.seconds)
        waiting = [
            pool.submit(attempt, case, number, folder, limits[case.ranks])
            for number, case in enumerate(cases)
        ]
        outcomes = []
        for future in waiting:
            outcomes.append(future.result())
            _show(outcomes[-1])
        return outcomes
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        _end(folder.name)
        shutil.rmtree(folder, ignore_errors=True)


def _show(outcome: Outcome) -> None:
    case = outcome.case
    what = "works" if case.works else outcome.line.partition(MARK)[2]
    verdict = f"FAULT: {outcome.fault}" if outcome.fault else "ok"
    print(
        f"{verdict:5} {outcome.seconds:4.1f} s  {case.command[0]:7} "
        f"{case.ranks}  {case.file}: {case.name}\n{'':14}{what[:150]}",
        flush=True,
    )


def main() -> int:
    """Runs what is asked for; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/damage.sh", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    cases = select(options.only)
    if options.list:
        for case in cases:
            print(f"{case.command[0]:7} {case.ranks}  {case.file}: {case.name}")
        print(f"{len(cases)} damages")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    outcomes = run(cases, jobs=options.jobs)
    bad = [outcome for outcome in outcomes if outcome.fault]
    for outcome in bad:
        case = outcome.case
        print(f"FAULT  {case.file}: {case.name}: {outcome.fault}")
    works = collections.Counter(case.works for case in cases)
    print(
        f"{len(outcomes)} damages: {works[False]} to be told, {works[True]} "
        f"that no run needs; {len(bad)} badly met"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
