"""Layouts that others chose by hand, beside those that `eisbach plan` finds.

For each model, batch, machine and number of devices of `plan_cases.csv` the
published layouts are foretold, as they are, and layouts are searched for the
same job. Prints the quickest published one, the quickest found, and what a step
takes on each by the same simulation; 1 where a published layout is quicker by
more than a tie:

    python benchmarks/plan_published_layouts.py
    python benchmarks/plan_published_layouts.py --all
    python benchmarks/plan_published_layouts.py --cases dgxc --most 100

Published layouts that by the same simulation do not fit the machine's memory
are no rivals and are counted at the end: programs differ in what they keep.
Without `--all` it takes so many jobs of all sources, evenly chosen.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

from plan_accuracy import Case, read_cases, record

TIE = 0.005
# Of a device's memory, what tensors may take.
MEMORY_SHARE = 0.9
# Keys of a case that are no layout.
JOB = ("run.", "model.", "precision.", "train.global_batch")


@dataclass(frozen=True)
class Job:
    """What is to be trained, and on what."""

    keys: tuple[str, ...]
    machine: str
    gpus: int
    products: str
    experts: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, case: Case) -> Job:
        """The job of a published step."""
        keys = tuple(key for key in case.overrides if key.startswith(JOB))
        experts = {k: v for k, v in case.experts.items() if k != "ranks"}
        return cls(
            keys, case.machine, case.gpus, case.products,
            tuple(experts.items()),
        )  # fmt: skip


def jobs_of(cases: list[Case]) -> dict[Job, list[Case]]:
    """The published steps of each job, in the order of the file."""
    jobs: dict[Job, list[Case]] = defaultdict(list)
    for case in cases:
        jobs[Job.of(case)].append(case)
    return jobs


def some_of(jobs: list[Job], most: int) -> list[Job]:
    """Evenly chosen ones."""
    return jobs[:: math.ceil(len(jobs) / most)]


def spell(case: Case) -> str:
    """A published layout as in `c1 t8 p16 interleaved 2 zero 1 m1 block`."""
    keys = dict(key.split("=") for key in case.overrides)
    parallel = {
        key.removeprefix("parallel."): value
        for key, value in keys.items()
        if key.startswith("parallel.")
    }
    text = (
        f"c{parallel['context']} t{parallel['tensor']} p{parallel['pipeline']}"
    )
    if parallel["pipeline"] != "1":
        text += f" {parallel['schedule']} {parallel.get('chunks', 1)}"
    text += f" zero {parallel.get('zero', 0)}"
    text += f" m{keys['train.micro_batch']} {keys['train.recompute']}"
    if layers := keys.get("train.recompute_layers"):
        text += f" {layers}"
    if case.experts:
        text += f" e{case.experts['ranks']}"
    return text


def main() -> int:
    """Prints the table; 1 where a published layout is quicker."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--most", type=int, default=24, help="jobs")
    parser.add_argument("--cases", default="", help="of ids that begin so")
    args = parser.parse_args()
    from eisbach import _C
    from eisbach.config import load_config, resolve
    from eisbach.core_config import complete, engine_config
    from eisbach.hardware import machine_of, read_hardware

    cases, _ = read_cases("all", args.cases, experts=True)
    published = jobs_of(cases)
    jobs = list(published)
    if not args.all:
        jobs = some_of(jobs, args.most)
    machines = {
        name: machine_of(read_hardware(name))
        for name in {job.machine for job in jobs}
    }
    left: Counter[str] = Counter()
    beaten = compared = 0
    for job in jobs:
        machine = machines[job.machine]
        budget = MEMORY_SHARE * machine.memory_bytes
        rivals: list[tuple[float, Case]] = []
        for case in published[job]:
            try:
                forecast = record(case).on(machine, products=job.products)
            except ValueError as error:
                left[f"refused: {str(error)[:90]}"] += 1
                continue
            if forecast.memory > budget:
                left["the layout does not fit the memory"] += 1
                continue
            rivals.append((forecast.seconds, case))
        if not rivals:
            continue
        seconds, best = min(rivals, key=lambda rival: rival[0])
        config = resolve(load_config(None, list(job.keys)))
        start = time.monotonic()
        experts = _C.Experts(**dict(job.experts))
        found = _C.search_layouts(
            experts.dense(engine_config(complete(config))),
            machine,
            _C.SearchOptions(
                job.gpus,
                products=job.products,
                experts=experts,
                memory_share=MEMORY_SHARE,
            ),
        )
        took = time.monotonic() - start
        compared += 1
        mine = found.fitting[0] if found.fitting else None
        ratio = mine.forecast.seconds / seconds if mine else math.inf
        beaten += ratio > 1 + TIE
        print(
            f"{best.id:<14}{best.model.split(maxsplit=1)[1][:30]:<31}"
            f"{job.gpus:>6} of {len(rivals):>2}: {spell(best):<44}"
            f"{seconds:>9.4g} s"
        )
        if mine:
            layout = mine.layout
            text = f"c{layout.context} t{layout.tensor} p{layout.pipeline}"
            if layout.pipeline > 1:
                text += f" {layout.schedule} {layout.chunks}"
            text += (
                f" zero {layout.zero} m{layout.micro_batch} {layout.recompute}"
            )
            if layout.recompute_layers != "all":
                text += f" {layout.recompute_layers}"
            if job.experts:
                text += f" e{layout.expert}"
        else:
            text = "nothing fits"
        print(
            f"{'':<14}found in {took:.1f} s, {found.tried:,} tried"
            f"{'':<15}{text:<54}"[:106]
            + (f"{mine.forecast.seconds:>9.4g} s {ratio - 1:+.1%}"
               if mine else "")
            + ("  <-- slower" if ratio > 1 + TIE else ""),
            flush=True,
        )  # fmt: skip
    print(
        f"{compared} jobs: in {beaten} a published layout is quicker by more "
        f"than {TIE:.1%}"
    )
    for reason, count in left.most_common():
        print(f"left out, {count}: {reason}")
    return int(beaten > 0)


if __name__ == "__main__":
    sys.exit(main())
