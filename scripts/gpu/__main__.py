"""Runs what a bundle holds on the GPU of this machine, in under 9 minutes.

    ./run_on_gpu.sh                         all parts, in order of worth
    ./run_on_gpu.sh --only tests speed      some of them
    ./run_on_gpu.sh --results DIR           results elsewhere than in ./results

A line is written to results.jsonl as each thing ends, with results.json and
results.md beside it, so that a run that is cut off leaves what it has. The exit
code is 0 where all that ran passed; 1 where something failed or did not come to
its end; 77 where nothing ran, as there is no GPU; 2 where the
command is none.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from gpu.bundle import Bundle
from gpu.machine import Gpu, find_gpu
from gpu.parts import Job, Part, parts
from gpu.process import Ended, end_all, run
from gpu.record import CUT_OFF, FAILED, NOT_RUN, PASSED, Record, Row

NOT_RUN_CODE = 77  # of our programs, where they find no GPU
SECONDS = 520.0  # of all parts
ROOT = Path(__file__).resolve().parents[1]


def judge(part: str, job: Job, ended: Ended, gpu: Gpu | None) -> Row:
    """What a job that was started has come to."""

    def row(state: str, text: str, figures: dict | None = None) -> Row:
        return Row(part, job.name, state, ended.seconds, text, figures or {})

    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    if ended.timed_out:
        return row(CUT_OFF, f"not at its end after {ended.seconds:.0f} s")
    if ended.code == NOT_RUN_CODE:
        reasons = [one for one in lines if one.startswith("NOT RUN: ")]
        reason = reasons[-1].removeprefix("NOT RUN: ") if reasons else ""
        if gpu is not None:
            return row(FAILED, f"there is {gpu.name}, but: {reason}")
        return row(NOT_RUN, f"no GPU here ({reason})")
    if ended.code != 0:
        tests = [one for one in lines if one.startswith("[  FAILED  ]")]
        errors = [one for one in lines if "rror" in one]
        told = tests[:1] or errors[-1:] or lines[-1:] or ["it printed nothing"]
        return row(FAILED, f"exit code {ended.code}: {told[0][:300]}")
    try:
        return row(PASSED, *job.read(ended.output))
    except (KeyError, ValueError) as error:
        return row(FAILED, f"its figures cannot be read: {error!r}")


def run_part(
    part: Part, record: Record, gpu: Gpu | None, *, end: float, logs: Path
) -> None:
    """Runs the jobs of a part until its time is over; records each."""
    end = min(end, time.monotonic() + part.seconds)

    def one(job: Job) -> Row:
        left = end - time.monotonic()
        if job.missing:
            text = job.missing if gpu else f"no GPU here, and {job.missing}"
            return Row(part.name, job.name, NOT_RUN, 0.0, text)
        if left <= 0:
            return Row(part.name, job.name, CUT_OFF, 0.0, "no time was left")
        name = re.sub("[^A-Za-z0-9_.]+", "-", f"{part.name} {job.name}")
        ended = run(
            job.command, environment=job.environment,
            seconds=min(job.seconds, left), log=logs / f"{name}.log",
        )  # fmt: skip
        return judge(part.name, job, ended, gpu)

    workers = max(1, min(part.at_once, len(os.sched_getaffinity(0)) // 2))
    with ThreadPoolExecutor(workers) as pool:
        for future in as_completed(
            [pool.submit(one, job) for job in part.jobs]
        ):
            row = future.result()
            if row.state == CUT_OFF and not part.all_needed:
                row = dataclasses.replace(row, state=NOT_RUN)
            record.add(row)


def _end_with(number: int, _: object) -> None:
    end_all()
    os._exit(128 + number)


def main() -> int:
    """Runs the parts; returns the exit code."""
    start = time.monotonic()
    parser = argparse.ArgumentParser(
        prog="run_on_gpu.sh", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--only", nargs="+", metavar="PART")
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    args = parser.parse_args()
    bundle, gpu = Bundle.load(ROOT), find_gpu()
    planned = parts(bundle, gpu)
    names = [part.name for part in planned]
    for name in args.only or []:
        if name not in names:
            parser.error(f"--only {name}: there are {', '.join(names)}")
    machine = {
        "GPU": gpu.name if gpu else "none",
        "driver": gpu.driver if gpu else "none",
        "memory": gpu.memory if gpu else "none",
        "plug-in": os.environ.get("EISBACH_CUDA_LIBRARY", "of the bundle"),
        "commit": bundle.facts["commit"],
        "date": time.strftime("%Y-%m-%d"),
        "Python": sys.version.split()[0],
    }
    for key, value in machine.items():
        print(f"{key}: {value}", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end_with)
    record = Record(args.results, machine)
    logs = args.results / "logs"
    logs.mkdir(exist_ok=True)
    for part in planned:
        if args.only is None or part.name in args.only:
            run_part(part, record, gpu, end=start + SECONDS, logs=logs)
    print(f"results: {args.results / 'results.md'}", flush=True)
    return record.exit_code()


if __name__ == "__main__":
    sys.exit(main())
