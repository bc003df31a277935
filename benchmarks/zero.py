"""Memory and speed of `parallel.zero`, against what the division predicts.

Trains one model with zero 0 to 3 and with PyTorch's FSDP2 (`fully_shard`, on
Gloo), in turn, on ranks of one thread. Prints for each stage the most that a
rank's allocator held, beside what `eisbach estimate` says, and its step beside
that of stage 0 in the same round (the median of the rounds, which are printed
as they come); then FSDP2's step and the resident memory of both. FSDP2 writes
no checkpoints, so ours are written without copies
(`checkpoint.asynchronous=false`); what those would add is told as well. Run it
on a machine that does nothing else, in an environment with eisbach and
torch==2.13.0:

    python benchmarks/zero.py                     # 124 M on 2 ranks
    python benchmarks/zero.py --stages 0 1 --rounds 5 --no-fsdp
    python benchmarks/zero.py --ranks 4 --rounds 1
    python benchmarks/zero.py --preset small --plot zero.png
"""

import argparse
import json
import sys
from pathlib import Path

from children import peak_of
from measured_run import Run, by_round, measure, predicted
from train_cpu import PRESETS, Shape, torch_command

STAGES = (0, 1, 2, 3)
MOST_STEP = {1: 1.02, 3: 1.10}
MEMORY_WITHIN = 0.05


def keys_of(stage: int) -> list[str]:
    """The keys of a run of ours."""
    return [f"parallel.zero={stage}", "checkpoint.asynchronous=false"]


def run_fsdp(shape: Shape, args: argparse.Namespace) -> Run:
    """One run of PyTorch's."""
    command = torch_command(
        shape, steps=args.steps, dtype=args.dtype, ranks=args.ranks,
        compiled=False,
    )  # fmt: skip
    output, _ = peak_of([*command, "--fsdp"])
    result = json.loads(output.strip().split("\n")[-1])
    return Run(result["step_seconds"], result["peak_memory_bytes"])


def plot(
    path: Path, stages: list[int], measured: list[int], expected: list[int]
) -> None:
    """Draws the bytes of each stage beside their prediction."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.2))
    for shift, name, values in (
        (-0.2, "predicted", expected),
        (0.2, "measured", measured),
    ):
        places = [stage + shift for stage in stages]
        axes.bar(places, [v / 2**20 for v in values], 0.38, label=name)
    axes.set_xticks(stages)
    axes.set_xlabel("parallel.zero")
    axes.set_ylabel("MiB of a rank at the most")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> int:
    """Prints a line for each stage and one for FSDP2; 1 where memory is off."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--preset", choices=PRESETS, default="gpt2")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--stages", type=int, nargs="+", choices=STAGES, default=list(STAGES),
        help="0 is always among them",
    )  # fmt: skip
    parser.add_argument("--no-fsdp", action="store_true")
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    shape = PRESETS[args.preset]
    stages = sorted({0, *args.stages})
    ours: dict[int, list[Run]] = {stage: [] for stage in stages}
    theirs: list[Run] = []
    for number in range(1, args.rounds + 1):
        for stage, runs in ours.items():
            runs.append(measure(shape, keys_of(stage), args))
        steps = [
            f"zero={stage} {runs[-1].seconds / ours[0][-1].seconds:.3f}"
            for stage, runs in ours.items()
        ]
        if not args.no_fsdp:
            theirs.append(run_fsdp(shape, args))
            ratio = theirs[-1].seconds / ours[0][-1].seconds
            steps.append(f"FSDP2 {ratio:.3f}")
        print(f"round {number}: step {', '.join(steps)}", flush=True)
    measured, expected = [], []
    for stage, runs in ours.items():
        measured.append(max(run.allocated for run in runs))
        memory = predicted(shape, keys_of(stage), args)
        expected.append(memory.peak)
        ratio = measured[-1] / expected[-1]
        step = by_round(runs, ours[0])
        target = f" (target {MOST_STEP[stage]})" if stage in MOST_STEP else ""
        print(
            f"zero={stage}: {measured[-1] / 2**20:.0f} MiB, "
            f"{ratio:.3f} of the {expected[-1] / 2**20:.0f} predicted; "
            f"step {step:.3f} of zero=0{target}",
            flush=True,
        )
    if theirs and 3 in ours:
        resident = max(run.resident for run in ours[3])
        other = max(run.resident for run in theirs)
        copies = memory.saving
        print(
            f"FSDP2: zero=3 is {by_round(theirs, ours[3]):.2f} x as fast "
            f"(target 1.25), with {resident / other:.2f} x its resident "
            f"memory (target 0.8): {resident / 2**20:.0f} and "
            f"{other / 2**20:.0f} MiB; with copies of {copies / 2**20:.0f} MiB "
            "to write checkpoints from behind training "
            f"{(resident + copies) / other:.2f} x"
        )
    if args.plot:
        plot(args.plot, stages, measured, expected)
    off = [
        abs(m / e - 1) > MEMORY_WITHIN
        for m, e in zip(measured, expected, strict=True)
    ]
    return int(any(off))


if __name__ == "__main__":
    sys.exit(main())
