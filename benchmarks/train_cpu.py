"""Training speed and peak memory on CPU ranks, against PyTorch.

Runs `eisbach train` and peers/torch_gpt.py in turn on the same model and
prints, for each dtype and number of ranks, both medians and the ratio. Run it
in an environment with eisbach and torch==2.13.0, on a machine that does nothing
else:

    python benchmarks/train_cpu.py                      # 10.8 M parameters
    python benchmarks/train_cpu.py --preset gpt2        # 124 M
    python benchmarks/train_cpu.py --preset wide deep long
    python benchmarks/train_cpu.py --layers 2 --hidden 1024 --heads 16
    python benchmarks/train_cpu.py --peers eager compiled
    python benchmarks/train_cpu.py --ranks 1 2 4 --plot tokens.png

PyTorch has no usable bf16 matmul on processors without bf16 instructions
(1 GFLOP/s on AVX2): there our bf16 is set against PyTorch's f32, and the line
says so.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
from pathlib import Path

from children import on_ranks, peak_of, program

HERE = Path(__file__).parent
OURS = "eisbach"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """A model and the batch of a step."""

    layers: int = 6
    hidden: int = 384
    heads: int = 6
    context: int = 256
    batch: int = 16
    vocab: int = 256


PRESETS = {
    "small": Shape(),
    "gpt2": Shape(layers=12, hidden=768, heads=12, batch=4, vocab=50304),
    "wide": Shape(layers=2, hidden=1024, heads=16, batch=8),
    "deep": Shape(layers=16, hidden=256, heads=4),
    "long": Shape(context=1024, batch=4),
}


@dataclasses.dataclass(frozen=True)
class Run:
    """What one run took."""

    seconds: float  # median of a step
    peak: int  # bytes of the largest process
    gflops: float = 0.0  # of the model; ours alone


def cpu_has_bf16() -> bool:
    """Whether PyTorch's bf16 matmul has instructions to run on."""
    flags = Path("/proc/cpuinfo").read_text()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def eisbach_command(
    shape: Shape, *, steps: int, dtype: str, ranks: int, folder: Path
) -> list[str]:
    """How to start ours; the run folder is `folder`/bench."""
    config = HERE.parent / "configs/gpt_bytes.yaml"
    command = on_ranks(ranks)
    command += [program("eisbach"), "train", str(config)]
    for name in ("layers", "hidden", "heads", "context", "vocab"):
        command.append(f"model.{name}={getattr(shape, name)}")
    return [
        *command,
        f"train.steps={steps}",
        f"train.global_batch={shape.batch}",
        f"train.micro_batch={shape.batch // ranks}",
        "train.validate_every=0",
        "optimizer.warmup_steps=2",
        f"precision.compute={dtype}",
        f"run.dir={folder}",
        "run.name=bench",
    ]


def run_eisbach(
    shape: Shape, *, steps: int, dtype: str, ranks: int, overrides: list[str]
) -> Run:
    """One run of ours."""
    with tempfile.TemporaryDirectory() as folder:
        command = eisbach_command(
            shape, steps=steps, dtype=dtype, ranks=ranks, folder=Path(folder)
        )
        _, peak = peak_of(command + overrides)
        text = (Path(folder) / "bench" / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()][3:]
    return Run(
        statistics.median(line["step_seconds"] for line in lines),
        peak,
        1e3 * statistics.median(
            line["model_tflops_per_second"] for line in lines
        ),
    )  # fmt: skip


def torch_command(
    shape: Shape, *, steps: int, dtype: str, ranks: int, compiled: bool
) -> list[str]:
    """How to start PyTorch's."""
    command = [sys.executable]
    if ranks > 1:
        command += ["-m", "torch.distributed.run"]
        command += ["--nproc-per-node", str(ranks)]
    command += [str(HERE / "peers/torch_gpt.py"), "--dtype", dtype]
    for name, value in dataclasses.asdict(shape).items():
        command += [f"--{name}", str(value)]
    return command + ["--steps", str(steps)] + ["--compile"] * compiled


def run_torch(
    shape: Shape, *, steps: int, dtype: str, ranks: int, compiled: bool
) -> Run:
    """One run of PyTorch's."""
    output, _ = peak_of(
        torch_command(
            shape, steps=steps, dtype=dtype, ranks=ranks, compiled=compiled
        )
    )
    result = json.loads(output.strip().split("\n")[-1])
    return Run(result["step_seconds"], result["peak_memory_bytes"])


@dataclasses.dataclass(frozen=True)
class Result:
    """What one case gave: medians of time, largest of memory."""

    dtype: str
    ranks: int
    speeds: dict[str, float]  # tokens/s by program
    peaks: dict[str, int]  # bytes

    @property
    def speed_ratio(self) -> float:
        """Ours by the fastest peer's."""
        peers = (v for k, v in self.speeds.items() if k != OURS)
        return self.speeds[OURS] / max(peers)

    @property
    def memory_ratio(self) -> float:
        """Ours by the leanest peer's."""
        peers = (v for k, v in self.peaks.items() if k != OURS)
        return self.peaks[OURS] / min(peers)

    def __str__(self) -> str:
        parts = "; ".join(
            f"{name} {speed:.0f} tokens/s {self.peaks[name] >> 20} MiB"
            for name, speed in self.speeds.items()
        )
        return (
            f"{self.dtype} {self.ranks} rank(s): {parts}; "
            f"speed ratio {self.speed_ratio:.2f}, "
            f"memory ratio {self.memory_ratio:.2f}"
        )


def compare(
    shape: Shape, args: argparse.Namespace, *, dtype: str, ranks: int
) -> Result:
    """Alternates the programs."""
    peer_dtype = dtype if dtype == "f32" or cpu_has_bf16() else "f32"
    all_runs: dict[str, list[Run]] = {OURS: []}
    for _ in range(args.rounds):
        all_runs[OURS].append(
            run_eisbach(
                shape, steps=args.steps, dtype=dtype, ranks=ranks,
                overrides=args.override,
            )
        )  # fmt: skip
        for peer in args.peers:
            all_runs.setdefault(f"torch {peer} {peer_dtype}", []).append(
                run_torch(
                    shape, steps=args.steps, dtype=peer_dtype, ranks=ranks,
                    compiled=peer == "compiled",
                )
            )  # fmt: skip
    tokens = shape.batch * shape.context
    speeds = {
        name: tokens / statistics.median(run.seconds for run in runs)
        for name, runs in all_runs.items()
    }
    peaks = {
        name: max(run.peak for run in runs) for name, runs in all_runs.items()
    }
    return Result(dtype, ranks, speeds, peaks)


def plot(results: list[Result], title: str, path: str) -> None:
    """Draws tokens/s against ranks, a panel for each dtype."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dtypes = list(dict.fromkeys(result.dtype for result in results))
    figure = Figure(figsize=(5 * len(dtypes), 4), dpi=120, layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(1, len(dtypes), squeeze=False, sharey=True)[0]
    for axes, dtype in zip(panels, dtypes, strict=True):
        of_dtype = [result for result in results if result.dtype == dtype]
        ranks = [result.ranks for result in of_dtype]
        for name in of_dtype[0].speeds:
            speeds = [result.speeds[name] for result in of_dtype]
            axes.plot(ranks, speeds, "o-", label=name)
        axes.set(title=dtype, xlabel="ranks", xticks=ranks)
        axes.grid(alpha=0.3)
        axes.legend()
    panels[0].set(ylabel="tokens/s", ylim=(0, None))
    FigureCanvasAgg(figure).print_png(path)


def main() -> None:
    """Prints a line for each case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--preset", nargs="+", choices=PRESETS)
    for field in dataclasses.fields(Shape):
        parser.add_argument(f"--{field.name}", type=int)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--peers", nargs="+", choices=["eager", "compiled"], default=["eager"]
    )
    parser.add_argument(
        "--override", nargs="+", default=[], help="keys of our own run"
    )
    parser.add_argument(
        "--plot", help="a PNG of tokens/s against ranks, for the last preset"
    )
    args = parser.parse_args()
    if args.steps < 5:
        parser.error("--steps: the first three are not counted, take 5 or more")
    changes = {
        field.name: getattr(args, field.name)
        for field in dataclasses.fields(Shape)
        if getattr(args, field.name) is not None
    }
    for preset in args.preset or ["small"]:
        shape = dataclasses.replace(PRESETS[preset], **changes)
        sizes = dataclasses.asdict(shape)
        print(", ".join(f"{k} {v}" for k, v in sizes.items()), flush=True)
        results = []
        for dtype in args.dtypes:
            for ranks in args.ranks:
                results.append(compare(shape, args, dtype=dtype, ranks=ranks))
                print(results[-1], flush=True)
        if args.plot:
            title = f"{preset}: {shape.batch} x {shape.context} tokens a step"
            plot(results, title, args.plot)


if __name__ == "__main__":
    main()
