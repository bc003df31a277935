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

PyTorch has no usable bf16 matmul on processors without bf16 instructions
(1 GFLOP/s on AVX2): there our bf16 is set against PyTorch's f32, and the line
says so.
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


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


def cpu_has_bf16() -> bool:
    """Whether PyTorch's bf16 matmul has instructions to run on."""
    flags = Path("/proc/cpuinfo").read_text()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _peak_of(command: list[str]) -> tuple[str, int]:
    """Runs a command; returns its output and the peak bytes of one process."""
    code = (
        "import json, resource, subprocess, sys\n"
        "done = subprocess.run(json.loads(sys.argv[1]), capture_output=True,"
        " text=True)\n"
        "usage = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps([done.returncode, done.stdout, done.stderr,"
        " usage.ru_maxrss * 1024]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(command)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    status, output, errors, peak = json.loads(done.stdout)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed:\n{output}{errors}")
    return output, peak


def run_eisbach(
    shape: Shape, *, steps: int, dtype: str, ranks: int, overrides: list[str]
) -> Run:
    """One run of ours."""
    with tempfile.TemporaryDirectory() as folder:
        config = HERE.parent / "configs/gpt_bytes.yaml"
        command = ["eisbach", "train", str(config)]
        for name in ("layers", "hidden", "heads", "context", "vocab"):
            command.append(f"model.{name}={getattr(shape, name)}")
        command += [
            f"train.steps={steps}",
            f"train.global_batch={shape.batch}",
            f"train.micro_batch={shape.batch // ranks}",
            "train.validate_every=0",
            "optimizer.warmup_steps=2",
            f"precision.compute={dtype}",
            f"run.dir={folder}",
            "run.name=bench",
            *overrides,
        ]
        if ranks > 1:
            command = ["mpirun", "-n", str(ranks), *command]
        _, peak = _peak_of(command)
        lines = (Path(folder) / "bench" / "metrics.jsonl").read_text()
    seconds = [json.loads(line)["step_seconds"] for line in lines.splitlines()]
    return Run(statistics.median(seconds[3:]), peak)


def run_torch(
    shape: Shape, *, steps: int, dtype: str, ranks: int, compiled: bool
) -> Run:
    """One run of PyTorch's."""
    command = [sys.executable]
    if ranks > 1:
        command += ["-m", "torch.distributed.run"]
        command += ["--nproc-per-node", str(ranks)]
    command += [str(HERE / "peers/torch_gpt.py"), "--dtype", dtype]
    for name, value in dataclasses.asdict(shape).items():
        command += [f"--{name}", str(value)]
    command += ["--steps", str(steps)] + ["--compile"] * compiled
    output, _ = _peak_of(command)
    result = json.loads(output.strip().split("\n")[-1])
    return Run(result["step_seconds"], result["peak_memory_bytes"])


def compare(
    shape: Shape, args: argparse.Namespace, *, dtype: str, ranks: int
) -> str:
    """Alternates the programs; a line with the medians and the ratios."""
    peer_dtype = dtype if dtype == "f32" or cpu_has_bf16() else "f32"
    ours: list[Run] = []
    peers: dict[str, list[Run]] = {name: [] for name in args.peers}
    for _ in range(args.rounds):
        ours.append(
            run_eisbach(
                shape, steps=args.steps, dtype=dtype, ranks=ranks,
                overrides=args.override,
            )
        )  # fmt: skip
        for name, runs in peers.items():
            runs.append(
                run_torch(
                    shape, steps=args.steps, dtype=peer_dtype, ranks=ranks,
                    compiled=name == "compiled",
                )
            )  # fmt: skip

    tokens = shape.batch * shape.context
    seconds = statistics.median(run.seconds for run in ours)
    memory = max(run.peak for run in ours)
    parts = [f"eisbach {tokens / seconds:.0f} tokens/s {memory >> 20} MiB"]
    best, peer_memory = float("inf"), sys.maxsize
    for name, runs in peers.items():
        peer_seconds = statistics.median(run.seconds for run in runs)
        peak = max(run.peak for run in runs)
        best, peer_memory = min(best, peer_seconds), min(peer_memory, peak)
        parts.append(
            f"torch {name} {peer_dtype} {tokens / peer_seconds:.0f} tokens/s "
            f"{peak >> 20} MiB"
        )
    return (
        f"{dtype} {ranks} rank(s): {'; '.join(parts)}; "
        f"speed ratio {best / seconds:.2f}, "
        f"memory ratio {memory / peer_memory:.2f}"
    )


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
        for dtype in args.dtypes:
            for ranks in args.ranks:
                print(
                    compare(shape, args, dtype=dtype, ranks=ranks), flush=True
                )


if __name__ == "__main__":
    main()
