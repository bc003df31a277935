"""What `eisbach plan` foretells of real runs on this machine's CPU.

Trains models on layouts of 1, 2 and 4 ranks of one thread for a few steps and
sets the peak memory of rank 0's tensors and the median step beside what the
planner says of them on a description of this machine. Calibrates first unless
there is one; run it on a machine that does nothing else:

    python benchmarks/plan_measured.py
    python benchmarks/plan_measured.py --hardware this-machine --only zero
    python benchmarks/plan_measured.py --plot docs/images/plan-measured.png

More ranks than cores tell of memory alone. Ends with 1 where a memory is off by
more than 2%, or the middle of the errors of steps is above 10%.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from children import on_ranks, peak_of
from measured_run import figures_of

MEMORY_WITHIN = 0.02
STEP_WITHIN = 0.10
# Steps before those that count: memory is taken, kernels are prepared.
WARM_UP = 3

MODELS = {
    "small": "model.family=gpt model.layers=6 model.hidden=384 model.heads=6 "
    "model.context=256 model.vocab=512",
    "deep": "model.family=gpt model.layers=12 model.hidden=256 model.heads=4 "
    "model.context=256 model.vocab=512",
    "wide": "model.family=gpt model.layers=2 model.hidden=1024 model.heads=16 "
    "model.context=256 model.vocab=512",
    "tiny": "model.family=gpt model.layers=4 model.hidden=128 model.heads=4 "
    "model.context=128 model.vocab=256",
    "llama": "model.family=llama model.layers=4 model.hidden=384 model.heads=6 "
    "model.kv_heads=2 model.context=512 model.vocab=8192",
    "long": "model.family=llama model.layers=4 model.hidden=256 model.heads=4 "
    "model.context=1024 model.vocab=512",
    "qwen3": "model.family=qwen3 model.layers=4 model.hidden=320 "
    "model.heads=5 model.context=256 model.vocab=4096",
    "gpt2": "model.family=gpt model.layers=12 model.hidden=768 model.heads=12 "
    "model.context=256 model.vocab=50304",
}
# Model, ranks, samples of a step and of a micro-batch, and further keys.
CASES = (
    "small 1 2 2",
    "small 1 4 1 precision.compute=bf16",
    "small 1 2 1 train.recompute=block",
    "small 1 2 2 train.recompute=selective precision.compute=bf16",
    "small 2 4 2",
    "small 2 4 2 parallel.zero=1",
    "small 2 4 1 parallel.zero=2",
    "small 2 4 1 parallel.zero=3",
    "small 2 4 2 parallel.zero=3 precision.compute=bf16",
    "small 2 4 1 precision.compute=bf16 train.recompute=block",
    "small 2 4 2 parallel.tensor=2",
    "small 2 4 4 parallel.tensor=2 precision.compute=bf16",
    "small 2 4 2 parallel.tensor=2 parallel.sequence=false",
    "small 2 8 1 parallel.pipeline=2",
    "small 2 8 1 parallel.pipeline=2 parallel.schedule=gpipe",
    "small 2 8 1 parallel.pipeline=2 parallel.schedule=zero_bubble",
    "small 2 8 1 parallel.pipeline=2 parallel.schedule=zb_v",
    "small 2 8 1 parallel.pipeline=2 parallel.schedule=dual_pipe_v",
    "small 4 4 1 parallel.tensor=2 parallel.zero=2",
    "small 4 4 1 parallel.tensor=2 parallel.pipeline=2",
    "deep 1 2 2",
    "deep 2 8 1 parallel.pipeline=2 parallel.schedule=interleaved",
    "deep 4 4 1 parallel.pipeline=2 parallel.zero=1",
    "wide 1 2 2",
    "wide 2 2 1 parallel.zero=1 precision.compute=bf16",
    "wide 2 2 2 parallel.tensor=2",
    "tiny 1 32 8",
    "tiny 2 64 16",
    "llama 1 1 1",
    "llama 1 2 1 precision.compute=bf16",
    "llama 2 2 1 parallel.zero=2",
    "llama 2 2 2 parallel.tensor=2 precision.compute=bf16",
    "llama 4 2 1 parallel.context=2 parallel.zero=3",
    "long 1 2 1",
    "long 2 2 1 parallel.context=2",
    "long 2 2 2 parallel.context=2 parallel.context_method=ring",
    "qwen3 1 4 2",
    "qwen3 2 4 2 optimizer.name=muon",
    "gpt2 1 1 1",
    "gpt2 2 2 1 parallel.zero=1 precision.compute=bf16",
)


@dataclass(frozen=True)
class Case:
    """A short run."""

    text: str
    ranks: int
    keys: tuple[str, ...]

    @classmethod
    def of(cls, text: str, steps: int) -> Case:
        """Reads one of `CASES`."""
        model, ranks, batch, micro, *keys = text.split()
        return cls(
            text,
            int(ranks),
            (
                *shlex.split(MODELS[model]),
                f"train.global_batch={batch}",
                f"train.micro_batch={micro}",
                f"train.steps={steps}",
                "train.validate_every=0",
                "optimizer.warmup_steps=2",
                "checkpoint.asynchronous=false",
                "run.device=cpu",
                "run.threads=1",
                *keys,
            ),
        )


@dataclass(frozen=True)
class Figures:
    """Of a case: seconds of a step, bytes of rank 0."""

    seconds: float
    memory: int


def measured(case: Case) -> Figures:
    """Trains it."""
    command = on_ranks(case.ranks)
    with tempfile.TemporaryDirectory() as folder:
        command += [sys.executable, "-m", "eisbach", "train", *case.keys]
        command += [f"run.dir={folder}", "run.name=case"]
        peak_of(command)
        return Figures(*figures_of(Path(folder) / "case", WARM_UP))


def foretold(case: Case, hardware: str) -> Figures:
    """What the planner says of it."""
    from eisbach import _C
    from eisbach.config import load_config, resolve
    from eisbach.fitting import fit
    from eisbach.hardware import machine_of, read_hardware

    found = fit(resolve(load_config(None, case.keys)), case.ranks)
    step = _C.RecordedStep(found.engine, found.mesh, device="cpu")
    forecast = step.on(machine_of(read_hardware(hardware)))
    return Figures(forecast.seconds, forecast.stages[0].memory)


def plot(path: Path, pairs: list[tuple[Figures, Figures]]) -> None:
    """Draws foretold beside measured, a panel for time and one for memory."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2))
    timed = [(m.seconds, f.seconds) for m, f in pairs if m.seconds]
    held = [(m.memory / 2**20, f.memory / 2**20) for m, f in pairs]
    for axes, points, unit in (
        (left, timed, "seconds of a step"),
        (right, held, "MiB of a rank at the most"),
    ):
        axes.loglog(*zip(*points, strict=True), ".")
        ends = [min(min(p) for p in points), max(max(p) for p in points)]
        axes.loglog(ends, ends, "k-", linewidth=0.5)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(f"measured, {unit}")
        axes.set_ylabel("foretold")
    figure.tight_layout()
    figure.savefig(path)


def main() -> int:
    """Prints a line for each case; 1 where a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--hardware", help="a description of this machine; else one is made"
    )
    parser.add_argument("--only", default="", help="cases with this in them")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    if args.steps <= WARM_UP:
        parser.error(f"--steps: the first {WARM_UP} are not counted")
    began = time.monotonic()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        hardware = args.hardware or f"{folder}/this-machine.yaml"
        if not args.hardware:
            subprocess.run(
                [
                    sys.executable, "-m", "eisbach", "plan", "--calibrate",
                    "--output", hardware,
                ],
                check=True,
            )  # fmt: skip
        pairs, steps, memories = [], [], []
        for text in CASES:
            if args.only not in text:
                continue
            case = Case.of(text, args.steps)
            found, said = measured(case), foretold(case, hardware)
            timed = case.ranks <= cores
            memories.append(said.memory / found.memory - 1)
            line = (
                f"{found.memory / 2**20:8.1f} {said.memory / 2**20:8.1f} MiB "
                f"{memories[-1]:+6.1%}"
            )
            if timed:
                steps.append(said.seconds / found.seconds - 1)
                line += (
                    f"  {found.seconds:7.3f} {said.seconds:7.3f} s "
                    f"{steps[-1]:+6.1%}"
                )
            else:
                line += " " * 26
                found = Figures(0, found.memory)
            pairs.append((found, said))
            print(f"{line}  {text}", flush=True)
    middle = statistics.median(map(abs, steps)) if steps else 0.0
    worst = max(map(abs, memories))
    print(
        f"{len(pairs)} runs, measured and foretold: memory of rank 0 is off by "
        f"at most {worst:.1%} (target 2%); of {len(steps)} step times the "
        f"middle error is {middle:.1%} (target 10%), 9 of 10 are below "
        f"{_ninth(steps):.1%}; took {(time.monotonic() - began) / 60:.0f} min"
    )
    if args.plot:
        plot(args.plot, pairs)
    return int(worst > MEMORY_WITHIN or middle > STEP_WITHIN)


def _ninth(errors: list[float]) -> float:
    ordered = sorted(map(abs, errors))
    return ordered[int(0.9 * (len(ordered) - 1))] if ordered else 0.0


if __name__ == "__main__":
    sys.exit(main())
