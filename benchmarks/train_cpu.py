"""Training speed and peak memory on CPU ranks, against PyTorch.

Runs `eisbach train` and peers/torch_gpt.py in turn on the same model and
prints, for each dtype and number of ranks, both medians and the ratio. Run it
in an environment with eisbach and torch==2.13.0, on a machine that does nothing
else:

    python benchmarks/train_cpu.py
    python benchmarks/train_cpu.py --layers 2 --hidden 1024 --heads 16
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SIZES = {
    "layers": 6, "hidden": 384, "heads": 6, "context": 256, "batch": 16,
    "steps": 12,
}  # fmt: skip


def _peak_of(
    command: list[str], environment: dict[str, str]
) -> tuple[str, int]:
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
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    status, output, errors, peak = json.loads(done.stdout)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed:\n{output}{errors}")
    return output, peak


def run_eisbach(
    args: argparse.Namespace, dtype: str, ranks: int
) -> dict[str, float]:
    """One run of ours: seconds of a step and peak bytes of a process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "eisbach",
            "train",
            str(HERE.parent / "configs/gpt_bytes.yaml"),
        ]
        command += [
            f"model.layers={args.layers}",
            f"model.hidden={args.hidden}",
            f"model.heads={args.heads}",
            f"model.context={args.context}",
            f"train.steps={args.steps}",
            f"train.global_batch={args.batch}",
            f"train.micro_batch={args.batch // ranks}",
            "train.validate_every=0",
            "optimizer.warmup_steps=2",
            f"precision.compute={dtype}",
            f"run.dir={folder}",
            "run.name=bench",
        ]
        if ranks > 1:
            command = ["mpirun", "-n", str(ranks), *command]
        _, peak = _peak_of(command, dict(os.environ))
        lines = (Path(folder) / "bench" / "metrics.jsonl").read_text()
        seconds = [
            json.loads(line)["step_seconds"]
            for line in lines.split("\n")
            if line
        ]
    return {"seconds": statistics.median(seconds[3:]), "peak": peak}


def run_torch(
    args: argparse.Namespace, dtype: str, ranks: int
) -> dict[str, float]:
    """One run of PyTorch's."""
    launch = [sys.executable]
    if ranks > 1:
        launch = [
            sys.executable, "-m", "torch.distributed.run",
            "--nproc-per-node", str(ranks),
        ]  # fmt: skip
    command = [*launch, str(HERE / "peers/torch_gpt.py"), "--dtype", dtype]
    for name in SIZES:
        command += [f"--{name}", str(getattr(args, name))]
    output, _ = _peak_of(command, dict(os.environ))
    result = json.loads(output.strip().split("\n")[-1])
    return {
        "seconds": result["step_seconds"],
        "peak": result["peak_memory_bytes"],
    }


def main() -> None:
    """Alternates the two and prints a line for each case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    for name, value in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    tokens = args.batch * args.context
    for dtype in args.dtypes:
        for ranks in args.ranks:
            ours, theirs = [], []
            for _ in range(args.rounds):
                ours.append(run_eisbach(args, dtype, ranks))
                theirs.append(run_torch(args, dtype, ranks))
            a = statistics.median(run["seconds"] for run in ours)
            b = statistics.median(run["seconds"] for run in theirs)
            memory = max(run["peak"] for run in ours)
            peer = max(run["peak"] for run in theirs)
            print(
                f"{dtype} {ranks} rank(s): eisbach {tokens / a:.0f} tokens/s,"
                f" {memory >> 20} MiB; torch {tokens / b:.0f} tokens/s,"
                f" {peer >> 20} MiB; speed ratio {b / a:.2f},"
                f" memory ratio {memory / peer:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
