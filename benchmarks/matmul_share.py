"""How much of the rate of its matmuls alone a training step reaches.

The step's products alone (matmul_rate, at the shapes of the step) and whole
steps of `eisbach train` take turns; the share is the model's operations a
second in training by those of the matmuls alone. What is missing is attention,
norms, activations, the optimizer and everything else. Run it on a machine that
does nothing else:

    ninja -C build/release benchmarks/matmul_rate
    python benchmarks/matmul_share.py build/release/benchmarks/matmul_rate
    python benchmarks/matmul_share.py PROGRAM --preset gpt2
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from train_cpu import PRESETS, Shape, run_eisbach


def matmul_rate(program: str, shape: Shape, dtype: str) -> float:
    """GFLOP/s of the products of a step."""
    sizes = (
        shape.batch * shape.context, shape.hidden, 4 * shape.hidden,
        shape.vocab, shape.layers,
    )  # fmt: skip
    done = subprocess.run(
        [program, dtype, *map(str, sizes)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": str(os.cpu_count())},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{program} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])["gflops"]


def main() -> None:
    """Prints a line for each dtype."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("program", help="build/release/benchmarks/matmul_rate")
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    shape = PRESETS[args.preset]
    for dtype in args.dtypes:
        alone, step = [], []
        for _ in range(args.rounds):
            alone.append(matmul_rate(args.program, shape, dtype))
            run = run_eisbach(
                shape, steps=args.steps, dtype=dtype, ranks=1, overrides=[]
            )
            step.append(run.gflops)
        rate, reached = statistics.median(alone), statistics.median(step)
        print(
            f"{args.preset} {dtype}: matmuls alone {rate:.0f} GFLOP/s, step "
            f"{reached:.0f} model GFLOP/s, share {reached / rate:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
