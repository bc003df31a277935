"""Time to import, and from start to the first finished step, beside PyTorch.

Starts fresh processes in turn: `import eisbach` and `import torch`, then
`eisbach train` and peers/torch_gpt.py until they have done one step of 1 x 64
tokens on the model of 10.8 M parameters. Prints medians and ratios:

    python benchmarks/startup.py
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from train_cpu import Shape, eisbach_command, torch_command

IMPORT = (
    "import time; start = time.perf_counter(); import {};"
    "print(time.perf_counter() - start)"
)
SHAPE = Shape(context=64, batch=1)


def import_seconds(module: str) -> float:
    """Seconds of the import alone, in a new process."""
    code = IMPORT.format(module)
    return float(subprocess.check_output([sys.executable, "-c", code]))


def until(command: list[str], sign: str) -> float:
    """Seconds from the start of a command to the line that holds `sign`."""
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if sign in line:
                seconds = time.perf_counter() - start
                process.kill()
                return seconds
        sys.exit(f"{' '.join(command)} failed:\n{process.stderr.read()}")


def eisbach_seconds(dtype: str) -> float:
    """From the start to the first step of ours."""
    with tempfile.TemporaryDirectory() as folder:
        command = eisbach_command(
            SHAPE, steps=2, dtype=dtype, ranks=1, folder=Path(folder)
        )
        return until([*command, "run.log_every=1"], "step 1/2")


def torch_seconds(dtype: str) -> float:
    """From the start to the first step of PyTorch's."""
    command = torch_command(
        SHAPE, steps=1, dtype=dtype, ranks=1, compiled=False
    )
    return until([command[0], "-u", *command[1:]], "step_seconds")


def main() -> None:
    """Prints the import times, then a line for each dtype."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16"])
    args = parser.parse_args()
    names = ("eisbach", "torch")
    imports = {name: [] for name in names}
    for _ in range(args.rounds):
        for name in names:
            imports[name].append(import_seconds(name))
    ours, theirs = (statistics.median(imports[name]) for name in names)
    print(
        f"import: eisbach {ours:.3f} s (target 0.15), torch {theirs:.3f} s",
        flush=True,
    )
    eisbach_seconds(args.dtypes[0])  # prepares the data, once for all
    for dtype in args.dtypes:
        runs = [
            (eisbach_seconds(dtype), torch_seconds(dtype))
            for _ in range(args.rounds)
        ]
        ours, theirs = map(statistics.median, zip(*runs, strict=True))
        print(
            f"{dtype}, start to first step: eisbach {ours:.2f} s, torch "
            f"{theirs:.2f} s, ratio {ours / theirs:.2f} (target 0.4)",
            flush=True,
        )


if __name__ == "__main__":
    main()
