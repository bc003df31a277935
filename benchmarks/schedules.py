"""Idle time of each pipeline schedule: in a run's trace, and simulated.

Trains one model on 4 stages with 8 micro-batches under each schedule (`:2` is
chunks) by `eisbach profile`, each rank on its share of a core (core_share.py),
and reads the trace of its steps (pipeline_trace.py). Prints for each schedule

- the step, from its first forward to its last backward, beside that of 1f1b;
- the bubble in the trace, the share of the stages' time in which they compute
  nothing: median of the steps, least and most;
- the simulator's bubble where each forward and backward takes what it took in
  this run (median by stage and chunk) and a transfer what one took (mean);
- the simulator's where all stages are alike and transfers take nothing.

Run it on a machine that does nothing else, in an environment with eisbach:

    python benchmarks/schedules.py
    python benchmarks/schedules.py --schedules zb_v zero_bubble:2 --steps 9
    python benchmarks/schedules.py --share 0      # without quotas

Ends with 1 where a bubble is further than 10 % from the simulator's.
"""

import argparse
import dataclasses
import os
import statistics
import sys
import tempfile
from pathlib import Path

from children import on_ranks, peak_of, program
from core_share import Shares, core_shares
from pipeline_trace import chunk_times, read_trace, transfer_times

CONFIG = Path(__file__).parent.parent / "configs/gpt_bytes.yaml"
SCHEDULES = (
    "1f1b", "interleaved:2", "zero_bubble", "zero_bubble:2", "zb_v:2",
    "dual_pipe_v:2",
)  # fmt: skip
WITHIN = 0.10
# Of the cores for the ranks; the rest is for the system.
OF_CORES = 0.9


@dataclasses.dataclass(frozen=True)
class Result:
    """What was found of a schedule."""

    step: float
    bubble: float
    least: float
    most: float
    simulated: float
    alike: float
    forward: float
    transfer: float


def command_of(
    name: str, chunks: int, folder: Path, args: argparse.Namespace
) -> list[str]:
    """What one rank starts."""
    return [
        program("eisbach"), "profile", str(CONFIG),
        f"model.layers={args.layers}",
        f"model.hidden={args.hidden}",
        f"model.heads={args.hidden // 64}",
        f"model.context={args.context}",
        f"train.global_batch={args.micro_batches}",
        "train.micro_batch=1",
        f"precision.compute={args.dtype}",
        f"parallel.pipeline={args.stages}",
        f"parallel.schedule={name}",
        f"parallel.chunks={chunks}",
        "run.threads=1",
        f"--steps={args.steps}",
        f"--warmup={args.warmup}",
        f"--output={folder}",
    ]  # fmt: skip


def run(schedule: str, shares: Shares, args: argparse.Namespace) -> Result:
    """Trains with a schedule and simulates it."""
    from eisbach import _C

    name, _, number = schedule.partition(":")
    chunks = int(number or 1)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "profile"
        command = shares.wrap(command_of(name, chunks, folder, args))
        peak_of([*on_ranks(args.stages), *command])
        steps = read_trace(folder / "trace.json", args.stages)
    shape = {
        "stages": args.stages,
        "microbatches": args.micro_batches,
        "chunks": chunks,
    }
    times = chunk_times(steps, chunks)
    transfer = statistics.fmean(t for s in steps for t in transfer_times(s))
    bubbles = [step.bubble for step in steps]
    return Result(
        statistics.median(step.seconds for step in steps),
        statistics.median(bubbles),
        min(bubbles),
        max(bubbles),
        _C.simulate_schedule(
            name, **shape, chunk_times=times, transfer=transfer
        ).bubble,
        _C.simulate_schedule(name, **shape).bubble,
        statistics.median(forward for forward, *_ in times),
        transfer,
    )


def main() -> int:
    """Prints a line for each schedule; 1 where one is off."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--schedules", nargs="+", default=SCHEDULES)
    parser.add_argument("--stages", type=int, default=4)
    parser.add_argument("--micro-batches", type=int, default=8)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument(
        "--share", type=float, help="of a core, for each rank; 0: no quotas"
    )
    parser.add_argument(
        "--period", type=float, default=4,
        help="milliseconds in which a rank gets its share; small beside a "
        "forward",
    )  # fmt: skip
    args = parser.parse_args()
    if args.share is None:
        args.share = min(1, OF_CORES * os.cpu_count() / args.stages)
    first: Result | None = None
    off = False
    with core_shares(args.stages, args.share, args.period) as shares:
        print(
            f"{args.stages} stages, {args.micro_batches} micro-batches; "
            f"{shares.text}",
            flush=True,
        )
        for schedule in args.schedules:
            result = run(schedule, shares, args)
            first = first or result
            ratio = result.bubble / result.simulated
            off |= abs(ratio - 1) > WITHIN
            print(
                f"{schedule:<14} step {result.step:.2f} s "
                f"({result.step / first.step:.3f} of {args.schedules[0]}), "
                f"bubble {result.bubble:.1%} ({result.least:.1%} to "
                f"{result.most:.1%}), {ratio:.2f} of the simulator's "
                f"{result.simulated:.1%}; {result.alike:.1%} where all is "
                f"alike; a forward {1e3 * result.forward:.0f} ms, a transfer "
                f"{1e3 * result.transfer:.1f} ms",
                flush=True,
            )
    return int(off)


if __name__ == "__main__":
    sys.exit(main())
