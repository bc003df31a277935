"""Kills, stops, signals, damages, fills and plants; nothing must be lost.

    scripts/torture.sh --minutes 20 [--seed 1] [--steps 300] [--faults 4]
        [--kind "bit flip"]... [--layout "d2 t1 p1"]... [--only N]

Runs of random layouts of 1 to 4 ranks go under `eisbach run` until they are
done, while faults are done to them at random moments. Each is then compared
with the same run that nobody broke. A trial is its number and the seed, though
moments depend on the machine: `--only N` tries one again. With `--kind` each
run has those faults, in that order.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from torture.disk import mount, unmount
from torture.faults import FAULTS, Fault
from torture.job import LAYOUTS
from torture.planting import inside
from torture.trial import Outcome, Trials

_DISK_BYTES = 128 << 20


def report(outcomes: Sequence[Outcome]) -> str:
    """Says what was done to the runs, and what became of them."""
    kinds: dict[str, list[float]] = defaultdict(list)
    injected: dict[str, int] = defaultdict(int)
    for strike in (s for outcome in outcomes for s in outcome.strikes):
        injected[strike.name] += 1
        if strike.seconds is not None:
            kinds[strike.name].append(strike.seconds)
    lines = ["| fault | injected | recovered | median s | worst s |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name, count in sorted(injected.items()):
        lines.append(_row(name, count, kinds[name]))
    every = [seconds for row in kinds.values() for seconds in row]
    lines.append(_row("all", sum(injected.values()), every))
    same = [o for o in outcomes if not o.changed]
    moved = [o for o in outcomes if o.changed]
    lines += [
        "",
        f"runs: {len(outcomes)}",
        f"samples lost: {sum(o.lost for o in outcomes)}",
        f"samples used twice: {sum(o.twice for o in outcomes)}",
        f"bitwise equal to the unbroken run: {sum(o.same for o in same)} of "
        f"{len(same)} on the same layout",
    ]
    if moved:
        lines.append(
            f"equal to rounding: {sum(o.same for o in moved)} of {len(moved)} "
            "whose layout changed"
        )
    lines.append(f"faults found: {sum(bool(o.faults) for o in outcomes)}")
    return "\n".join(lines)


def _row(name: str, count: int, seconds: list[float]) -> str:
    median = f"{statistics.median(seconds):.1f}" if seconds else "-"
    worst = f"{max(seconds):.1f}" if seconds else "-"
    return f"| {name} | {count} | {len(seconds)} | {median} | {worst} |"


def main() -> int:
    """Runs trials for a while; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--faults", type=int, default=4, help="most a run")
    parser.add_argument("--kind", action="append", default=[])
    parser.add_argument("--layout", action="append", default=[])
    parser.add_argument("--only", type=int, help="the number of one trial")
    options = parser.parse_args()
    # A job in the background and nohup ignore these, and so would all jobs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    end = time.monotonic() + 60 * options.minutes
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="eisbach-torture-") as name:
        disk = Path(name, "disk")
        disk.mkdir()
        mount(disk, _DISK_BYTES)
        trials = Trials(
            Path(name),
            options.seed,
            steps=options.steps,
            most=options.faults,
            kinds=[_find(kind) for kind in options.kind],
            layouts=[la for la in LAYOUTS if str(la) in options.layout]
            or LAYOUTS,
            inside=inside(Path(name)),
        )
        number = options.only or 0
        while options.only is None or not outcomes:
            outcome = trials.run(number)
            outcomes.append(outcome)
            _tell(outcome)
            number += 1
            if time.monotonic() > end:
                break
        unmount(disk)
    print(f"\nseed {options.seed}\n{report(outcomes)}")
    return int(any(outcome.faults for outcome in outcomes))


def _find(words: str) -> Fault:
    found = [fault for fault in FAULTS if words in fault.name]
    if not found:
        names = ", ".join(fault.name for fault in FAULTS)
        raise SystemExit(f"--kind {words}: there are {names}")
    return found[0]


def _tell(outcome: Outcome) -> None:
    layouts = ", then ".join(map(str, outcome.layouts))
    strikes = ", ".join(
        f"{s.name} ({'never' if s.seconds is None else f'{s.seconds:.1f} s'})"
        for s in outcome.strikes
    )
    print(f"{outcome.number}: {layouts}: {strikes or 'nothing'}", flush=True)
    for fault in outcome.faults:
        print(f"  FAULT {fault}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
