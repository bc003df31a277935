"""Sends signals to jobs at random moments and checks how they end.

    python scripts/signals.py --trials 200 --seed 1 [--parallel 2]

Each trial starts a job of 1 to 8 ranks, waits for a phase of it, and sends a
signal to one of its processes or to a group of them. Within ten seconds all of
them must be gone, and the exit status must be what docs/launch.md says. A trial
is its number and the seed: `--only N` runs one again.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from eisbach.run.statuses import killed_by, stopped_by

ROOT = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 10.0
SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGKILL", "SIGUSR1")
TARGETS = ("rank", "ranks", "mpirun", "group", "launch")
# What a job does when the signal comes, and by which settings it does so long
# enough.
PHASES = {
    "start": ["train.steps=1000000"],
    "training": ["train.steps=1000000"],
    "validation": ["train.steps=1000000", "train.validate_every=1"],
    "saving": ["train.steps=1000000", "checkpoint.every_steps=1"],
    "export": ["train.steps=3"],
    "end": ["train.steps=3"],
}
_LAUNCHERS = ("mpirun", "prterun")


@dataclass(frozen=True)
class Trial:
    """What is done to one job.

    Attributes:
      number: Of the trial.
      ranks: Of the job; one is started without `mpirun`, every other time.
      signal: Its name.
      target: One of TARGETS.
      phase: One of PHASES.
      delay: Seconds from the beginning of the phase to the signal.
      pick: Chooses the rank.
    """

    number: int
    ranks: int
    signal: str
    target: str
    phase: str
    delay: float
    pick: int

    @classmethod
    def of(cls, seed: int, number: int) -> Trial:
        """Draws a trial, the same each time."""
        draw = random.Random(f"{seed}/{number}")
        phase = draw.choice(list(PHASES))
        name = draw.choice(SIGNALS)
        target = draw.choice(TARGETS)
        return cls(
            number,
            draw.choice((1, 2, 2, 3, 4, 8)),
            name,
            target,
            phase,
            draw.uniform(0, 4 if phase == "start" else 1),
            draw.randrange(8),
        )

    def command(self) -> list[str]:
        """How the job is started, but for its overrides."""
        python = [sys.executable, "-m", "eisbach"]
        job = [*python, "train", "configs/tiny.yaml"]
        if self.ranks == 1 and self.target in ("rank", "ranks"):
            return job
        beside = Path(sys.prefix, "bin", "mpirun")
        mpirun = str(beside) if beside.exists() else "mpirun"
        job = [mpirun, "-n", str(self.ranks), *job]
        return [*python, "launch", *job] if self.target == "launch" else job


@dataclass
class Outcome:
    """How a job ended.

    Attributes:
      trial: What was done.
      sent: Whether the job was still there for the signal.
      seconds: From the signal until no process was left.
      status: Its exit status.
      faults: What should not be.
      output: What it printed.
    """

    trial: Trial
    sent: bool = True
    seconds: float = 0.0
    status: int | None = None
    faults: list[str] = field(default_factory=list)
    output: str = ""


def processes(mark: str) -> dict[int, str]:
    """Those that run with a mark in their environment: their commands."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
            if mark.encode() in environment:  # that of a zombie is empty
                command = (entry / "cmdline").read_bytes()
                found[int(entry.name)] = command.replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def ranks_of(found: dict[int, str]) -> list[int]:
    """The processes that train."""
    return sorted(
        pid
        for pid, command in found.items()
        if command.startswith(f"{sys.executable} -m eisbach train")
    )


def by_rank(pids: Iterable[int]) -> dict[int, int]:
    """Processes of Open MPI by the rank that each is; others are left out."""
    found = {}
    for pid in pids:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        for entry in environment.split(b"\0"):
            if entry.startswith(b"OMPI_COMM_WORLD_RANK="):
                found[int(entry.partition(b"=")[2])] = pid
    return found


def launchers_of(found: dict[int, str]) -> list[int]:
    """The mpirun."""
    return [
        pid
        for pid, command in found.items()
        if Path(command.split(" ", 1)[0]).name in _LAUNCHERS
    ]


def reached(trial: Trial, run: Path) -> bool:
    """Whether the phase has begun, by the files of the run."""
    if trial.phase == "start":
        return True
    if trial.phase == "end":
        return (run / "summary.json").exists()
    try:
        lines = (run / "metrics.jsonl").read_bytes().count(b"\n")
    except OSError:
        return False
    return lines >= (3 if trial.phase == "export" else 1)


def send(trial: Trial, job: subprocess.Popen[bytes], mark: str) -> bool:
    """Sends the signal; returns whether there was somebody to get it."""
    number = signal.Signals[trial.signal]
    found = processes(mark)
    ranks, launchers = ranks_of(found), launchers_of(found)
    if trial.target == "group" and job.pid in found:
        os.killpg(job.pid, number)
        return True
    if trial.target == "launch":
        targets = [job.pid] if job.pid in found else []
    elif trial.target == "mpirun":
        targets = launchers
    elif trial.target == "rank" and ranks:
        targets = [ranks[trial.pick % len(ranks)]]
    else:
        targets = ranks
    for pid in targets:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
    return bool(targets)


def allowed(trial: Trial, finished: bool) -> set[int] | None:
    """Exit statuses that are right; None is any but 0."""
    number = signal.Signals[trial.signal]
    right = {killed_by(number), stopped_by(number), -number}
    if finished:
        right.add(0)
    through_mpirun = "mpirun" in " ".join(trial.command()[:1])
    stopped_itself = trial.target in ("mpirun", "group") and through_mpirun
    if stopped_itself and trial.signal != "SIGUSR1":
        # It ends as it likes then.
        return None if not finished else {*range(1, 256), 0, *right}
    return right


def run_trial(trial: Trial, folder: Path) -> Outcome:
    """Starts the job, sends the signal and looks."""
    outcome = Outcome(trial)
    mark = f"EISBACH_TRIAL={folder.name}-{trial.number}-{os.getpid()}"
    temporary = folder / f"tmp{trial.number}"
    temporary.mkdir()
    run = folder / f"run{trial.number}"
    name, value = mark.split("=")
    environment = {
        **os.environ,
        name: value,
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_btl_sm_backing_directory": str(temporary),
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(temporary),
    }
    overrides = [f"run.dir={folder}", f"run.name={run.name}"]
    overrides += [f"train.global_batch={8 if trial.ranks != 3 else 6}"]
    overrides += ["train.micro_batch=1", *PHASES[trial.phase]]
    log = folder / f"log{trial.number}"
    with log.open("wb") as out:
        job = subprocess.Popen(
            [*trial.command(), *overrides],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + 120
    while not reached(trial, run) and job.poll() is None:
        if time.monotonic() > deadline:
            outcome.faults.append("the phase did not come")
            break
        time.sleep(0.02)
    time.sleep(trial.delay)
    outcome.sent = send(trial, job, mark)
    start = time.monotonic()
    # Whoever asks patiently waits for as long as a step takes.
    patient = trial.signal == "SIGUSR1"
    limit = 60.0 if patient or not outcome.sent else LIMIT_SECONDS
    while (left := processes(mark)) or job.poll() is None:
        if time.monotonic() - start > limit:
            outcome.faults.append(f"{len(left)} processes go on: {left}")
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            job.kill()
            job.wait()
            break
        time.sleep(0.02)
    outcome.seconds = time.monotonic() - start
    outcome.status = job.returncode
    outcome.output = log.read_text(errors="replace")
    if outcome.sent:
        check(outcome, run)
    return outcome


def check(outcome: Outcome, run: Path) -> None:
    """Holds the end of a job against what is promised."""
    trial, status = outcome.trial, outcome.status
    try:
        state = json.loads((run / "state.json").read_text())["state"]
    except OSError:
        state = "none"
    right = allowed(trial, state == "finished")
    wanted = sorted(right) if right else "any but 0"
    if (right is None and status == 0) or (right and status not in right):
        outcome.faults.append(f"exit status {status}, not of {wanted}")
    told = f"stopped by {trial.signal}"
    # Who asked gets an answer where there was time for one.
    if state == "stopped" and told not in outcome.output:
        outcome.faults.append(f"nobody told {told}")
    for path in (run / "metrics.jsonl", run / "validation.jsonl"):
        if path.exists():
            for line in path.read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    json.loads(line)


def table(outcomes: list[Outcome]) -> str:
    """Counts by signal, target and phase; the slowest end of each row."""
    rows: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        rows[outcome.trial.signal, outcome.trial.target].append(outcome)
    lines = ["| signal | target | " + " | ".join(PHASES) + " | slowest |"]
    lines.append("| --- " * (len(PHASES) + 3) + "|")
    for (name, target), row in sorted(rows.items()):
        counts = [
            str(sum(o.trial.phase == phase and o.sent for o in row) or "")
            for phase in PHASES
        ]
        slowest = max((o.seconds for o in row if o.sent), default=0.0)
        cells = [name, target, *counts, f"{slowest:.1f} s"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Runs the trials; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of one trial")
    options = parser.parse_args()
    # A job in the background and nohup ignore these, and so would all jobs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    numbers = range(options.trials) if options.only is None else [options.only]
    outcomes: list[Outcome] = []
    with (
        tempfile.TemporaryDirectory(prefix="eisbach-signals-") as folder,
        concurrent.futures.ThreadPoolExecutor(options.parallel) as pool,
    ):
        jobs = [
            pool.submit(run_trial, Trial.of(options.seed, n), Path(folder))
            for n in numbers
        ]
        for job in concurrent.futures.as_completed(jobs):
            outcome = job.result()
            outcomes.append(outcome)
            trial = outcome.trial
            print(
                f"{trial.number}: {trial.signal} to {trial.target} of "
                f"{trial.ranks} in {trial.phase}: "
                + (
                    f"{outcome.status} after {outcome.seconds:.1f} s"
                    if outcome.sent
                    else "had ended"
                ),
                flush=True,
            )
            for fault in outcome.faults:
                print(f"  FAULT {fault}\n{outcome.output[-3000:]}", flush=True)
    sent = [outcome for outcome in outcomes if outcome.sent]
    faults = [outcome for outcome in outcomes if outcome.faults]
    print(table(outcomes))
    slowest = max((outcome.seconds for outcome in sent), default=0.0)
    print(
        f"seed {options.seed}: {len(sent)} signals, {len(faults)} faults, the "
        f"slowest end after {slowest:.1f} s"
    )
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
