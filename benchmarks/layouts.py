"""Two ranks of one thread against one rank of two threads.

Runs `eisbach train` on the same model and batch with one rank and with two
ranks that divide the data, each layer (tensor) or the layers (pipeline, 8
micro-batches), in turn, and prints how fast each layout is by one rank. Run it
on a machine of two cores that does nothing else:

    python benchmarks/layouts.py
    python benchmarks/layouts.py --dtypes f32 --rounds 5
"""

import argparse
import statistics

from train_cpu import PRESETS, run_eisbach

TARGETS = {"data": 0.95, "tensor": 0.85, "pipeline": 0.85}


def overrides(axis: str, batch: int) -> list[str]:
    """The keys of a layout of two ranks; of one rank for an empty axis."""
    if not axis:
        return []
    micro_batch = {"data": batch // 2, "tensor": batch, "pipeline": batch // 8}
    return [f"parallel.{axis}=2", f"train.micro_batch={micro_batch[axis]}"]


def main() -> None:
    """Prints a line for each dtype and layout."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    shape = PRESETS[args.preset]
    tokens = shape.batch * shape.context
    for dtype in args.dtypes:
        seconds: dict[str, list[float]] = {"": [], **{a: [] for a in TARGETS}}
        for _ in range(args.rounds):
            for axis, runs in seconds.items():
                run = run_eisbach(
                    shape, steps=args.steps, dtype=dtype,
                    ranks=2 if axis else 1,
                    overrides=overrides(axis, shape.batch),
                )  # fmt: skip
                runs.append(run.seconds)
        alone = statistics.median(seconds.pop(""))
        print(f"{dtype}: 1 rank x 2 threads {tokens / alone:.0f} tokens/s")
        for axis, runs in seconds.items():
            both = statistics.median(runs)
            print(
                f"{dtype}: {axis}=2 {tokens / both:.0f} tokens/s, "
                f"ratio {alone / both:.2f} (target {TARGETS[axis]})",
                flush=True,
            )


if __name__ == "__main__":
    main()
