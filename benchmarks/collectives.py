"""Collectives between two ranks of one host, against Open MPI and Gloo.

Runs the program collectives (ours and Open MPI's take turns in it) and
peers/gloo_collectives.py in turn, and prints the median times and, as the last
lines, how many times faster ours are than the better peer. Run it in an
environment with the mpirun of the build and torch==2.13.0, on a machine that
does nothing else:

    ninja -C build/release benchmarks/collectives
    python benchmarks/collectives.py build/release/benchmarks/collectives
    python benchmarks/collectives.py PROGRAM --plot collectives.png
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from children import on_ranks

HERE = Path(__file__).parent
CALLS = ("all_reduce", "reduce_scatter", "all_gather")
DTYPES = ("f32", "bf16")
CONTENDERS = ("shared", "private", "mpi", "gloo")
MIB = 1 << 20
# What each must reach: call, kind of memory, bytes, times the better peer.
TARGETS = (
    ("all_reduce", "shared", 64 * MIB, 5.0),
    ("all_reduce", "shared", 16 * MIB, 3.0),
    ("all_reduce", "shared", MIB, 3.0),
    ("reduce_scatter", "shared", 64 * MIB, 6.0),
    ("reduce_scatter", "shared", 16 * MIB, 6.0),
    ("all_gather", "shared", 64 * MIB, 2.0),
    ("all_gather", "shared", 16 * MIB, 2.0),
    ("all_reduce", "private", 64 * MIB, 3.0),
    ("all_reduce", "private", 16 * MIB, 1.5),
    ("all_reduce", "private", MIB, 1.2),
)

# Median seconds by call, dtype, bytes and contender.
Times = dict[tuple[str, str, int, str], float]


def _run(command: list[str]) -> list[dict]:
    environment = dict(os.environ, OMP_NUM_THREADS="1", EISBACH_TRANSPORT="shm")
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return [
        json.loads(line)
        for line in done.stdout.splitlines()
        if line.startswith("{")
    ]


def measure(program: str, largest: int, rounds: int) -> Times:
    """Alternates the two programs."""
    seconds = defaultdict(list)
    ours = [*on_ranks(2), program, str(largest)]
    gloo = [sys.executable, "-m", "torch.distributed.run"]
    gloo += ["--nproc-per-node", "2"]
    gloo += [str(HERE / "peers/gloo_collectives.py"), str(largest)]
    for _ in range(rounds):
        for line in _run(ours) + _run(gloo):
            key = tuple(
                line[name] for name in ("call", "dtype", "bytes", "contender")
            )
            seconds[key].append(line["seconds"])
    return {key: statistics.median(values) for key, values in seconds.items()}


def size_text(size: int) -> str:
    """1024 -> "1 KiB"."""
    if size < 1024:
        return f"{size} B"
    return f"{size >> 10} KiB" if size < MIB else f"{size >> 20} MiB"


def table(times: Times) -> None:
    """Prints all times, in microseconds."""
    print(f"{'':34}" + "".join(f"{name:>12}" for name in CONTENDERS) + "   us")
    for call, dtype, size in sorted(
        {key[:3] for key in times},
        key=lambda k: (CALLS.index(k[0]), k[1], k[2]),
    ):
        row = "".join(
            f"{times[call, dtype, size, name] * 1e6:12.1f}"
            for name in CONTENDERS
        )
        print(f"{call:16}{dtype:6}{size_text(size):>12}{row}")


def ratio(times: Times, call: str, dtype: str, size: int, kind: str) -> float:
    """How many times faster than the better peer."""
    peer = min(times[call, dtype, size, name] for name in ("mpi", "gloo"))
    return peer / times[call, dtype, size, kind]


def ratios(times: Times, largest: int) -> None:
    """Prints the rows of the table of targets."""
    for kind in ("shared", "private"):
        worst, where = min(
            (ratio(times, *key[:3], kind), key[:3])
            for key in times
            if key[3] == kind
        )
        print(
            f"slowest of all, {kind}: {worst:.2f} x at {where[0]} {where[1]}"
            f" {size_text(where[2])}"
        )
    for call, kind, size, target in TARGETS:
        if size > largest:
            continue
        found = [ratio(times, call, d, size, kind) for d in DTYPES]
        text = ", ".join(
            f"{d} {r:.2f} x" for d, r in zip(DTYPES, found, strict=True)
        )
        print(f"{call}, {kind}, {size_text(size)}: {text} (target {target} x)")


def plot(times: Times, path: str) -> None:
    """Draws time against size, a panel for each call and dtype."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        len(DTYPES), len(CALLS), figsize=(13, 7), sharex=True, sharey=True
    )
    names = {
        "shared": "Eisbach, shared memory", "private": "Eisbach, any tensor",
        "mpi": "Open MPI", "gloo": "Gloo",
    }  # fmt: skip
    for row, dtype in enumerate(DTYPES):
        for column, call in enumerate(CALLS):
            axis = axes[row][column]
            for name in CONTENDERS:
                points = sorted(
                    (key[2], value * 1e6)
                    for key, value in times.items()
                    if (key[0], key[1], key[3]) == (call, dtype, name)
                )
                axis.loglog(*zip(*points, strict=True), "o-", label=names[name])
            axis.set_title(f"{call}, {dtype}")
            axis.grid(alpha=0.3)
            if row:
                axis.set_xlabel("bytes")
            if not column:
                axis.set_ylabel("microseconds")
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measures, prints, and draws when asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("program", help="build/release/benchmarks/collectives")
    parser.add_argument("--largest", type=int, default=64 * MIB)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", help="a PNG file")
    args = parser.parse_args()
    times = measure(args.program, args.largest, args.rounds)
    table(times)
    if args.plot:
        plot(times, args.plot)
    ratios(times, args.largest)


if __name__ == "__main__":
    main()
