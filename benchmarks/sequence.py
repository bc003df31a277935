"""Step time and memory of `parallel.sequence`, on against off.

Trains one model on one tensor group of ranks of one thread, with the tokens
divided and whole in turn. Prints the step with them divided beside the other of
the same round, of each and the median of all, and the most that a rank's
allocator held in each, beside what `eisbach estimate` says; then how much less
that is, as measured and as predicted. Run it on a machine that does nothing
else:

    python benchmarks/sequence.py                     # 124 M on 2 ranks
    python benchmarks/sequence.py --preset small --rounds 1
    python benchmarks/sequence.py --dtype bf16 --ranks 4
"""

import argparse
import statistics
import sys

from measured_run import Run, by_round, measure, predicted
from train_cpu import PRESETS

MOST_STEP = 1.02
MEMORY_WITHIN = 0.05


def keys_of(divided: bool, args: argparse.Namespace) -> list[str]:
    """The keys of a run."""
    return [
        f"parallel.tensor={args.ranks}",
        f"parallel.sequence={str(divided).lower()}",
    ]


def main() -> int:
    """Prints the ratios; 1 where memory is not as predicted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--preset", choices=PRESETS, default="gpt2")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    shape = PRESETS[args.preset]
    runs: dict[bool, list[Run]] = {True: [], False: []}
    for turn in range(args.rounds):
        # Whoever comes first has a colder machine.
        for divided in (turn % 2 == 0, turn % 2 == 1):
            runs[divided].append(measure(shape, keys_of(divided, args), args))
        ratio = runs[True][-1].seconds / runs[False][-1].seconds
        print(f"round {turn + 1}: step {ratio:.3f} of whole", flush=True)
    step = statistics.median(run.seconds for run in runs[True])
    print(
        f"{step * 1e3:.1f} ms a step, {by_round(runs[True], runs[False]):.3f} "
        f"of whole (target {MOST_STEP})"
    )
    measured, expected = {}, {}
    for divided, several in runs.items():
        measured[divided] = max(one.allocated for one in several)
        expected[divided] = predicted(shape, keys_of(divided, args), args).peak
        print(
            f"{'divided' if divided else 'whole'}: "
            f"{measured[divided] / 2**20:.0f} MiB of a rank, "
            f"{measured[divided] / expected[divided]:.3f} of the "
            f"{expected[divided] / 2**20:.0f} predicted"
        )
    print(
        f"{(measured[False] - measured[True]) / 2**20:.1f} MiB less, "
        f"{(expected[False] - expected[True]) / 2**20:.1f} predicted; "
        f"{measured[True] / measured[False]:.3f} of whole"
    )
    off = [
        abs(measured[divided] / expected[divided] - 1) > MEMORY_WITHIN
        for divided in runs
    ]
    return int(any(off))


if __name__ == "__main__":
    sys.exit(main())
