r"""A long row on context ranks against the same row on one rank.

Trains one model on rows of 8,192 tokens, first on one rank and then on four
that divide each row, by each method, every rank with as many threads; those of
`ulysses_ring` in groups that are half of them. Prints for each the most that
any rank's allocator held, the median step beside that of one rank divided by
the ranks (1 where nothing is lost and each rank has cores of its own), the
share of the ranks' time in which they only wait for communication, and how even
attention's work is: the most floating-point operations of a rank by the least.
Run it on a machine that does nothing else and has a core for each rank, in an
environment with eisbach:

    python benchmarks/context.py
    python benchmarks/context.py --ranks 2 --context 4096
    python benchmarks/context.py --methods ring --threads 1

Memory needs no quiet machine, and one step; this takes a few minutes:

    python benchmarks/context.py --context 32768 --layers 2 --hidden 128 \
        --warmup 0 --steps 1 --methods ring ulysses_ring
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from children import on_ranks, peak_of

CONFIG = Path(__file__).parent.parent / "configs/gpt_bytes.yaml"
METHODS = ("ring", "ulysses", "ulysses_ring", "gather")
MOST_UNEVEN = 1.05


def overrides(args: argparse.Namespace, ranks: int, method: str) -> list[str]:
    """The keys of a run."""
    group = ranks // 2 if method == "ulysses_ring" else "auto"
    return [
        f"model.layers={args.layers}",
        f"model.hidden={args.hidden}",
        f"model.heads={args.heads}",
        f"model.context={args.context}",
        "train.global_batch=1",
        "train.micro_batch=1",
        f"precision.compute={args.dtype}",
        f"parallel.context={ranks}",
        f"parallel.context_method={method}",
        f"parallel.ulysses_group={group}",
        f"run.threads={args.threads}",
    ]


def work(args: argparse.Namespace) -> None:
    """One rank of a run; rank 0 writes what all of them found."""
    import numpy

    from eisbach import _C
    from eisbach.config import load_config, resolve
    from eisbach.fitting import fit
    from eisbach.world import init

    world = init(device="cpu", threads=args.threads)
    config = load_config(CONFIG, overrides(args, world.size, args.method))
    found = fit(resolve(config), world.size)
    engine = _C.Engine(found.engine, _C.ParallelContext(world, found.mesh))
    ids = numpy.random.default_rng(1).integers(0, 256, (1, args.context + 1))
    batch = _C.Batch(ids[:, :-1], ids[:, 1:], engine.device)
    seconds = []
    for step in range(args.warmup + args.steps):
        if step == args.warmup:
            world.barrier()
            engine.device.start_recording()
        begin = time.perf_counter()
        engine.step(batch)
        seconds.append(time.perf_counter() - begin)
    peak = engine.device.memory().peak_bytes_in_use
    (args.folder / f"{world.rank}.peak").write_text(str(peak))
    traces = _C.gather_traces(world, _C.measure_peak(world))
    world.barrier()
    if world.rank:
        return
    profile = _C.summarise(traces, compute=config.precision.compute)
    attention = [
        sum(s.flops for s in trace.spans if s.name.startswith("attention"))
        for trace in traces
    ]
    result = {
        "seconds": statistics.median(seconds[args.warmup :]),
        "exposed": profile.shares.exposed_communication,
        "uneven": max(attention) / min(attention),
        "peaks": [
            int((args.folder / f"{rank}.peak").read_text())
            for rank in range(world.size)
        ],
    }
    (args.folder / "result.json").write_text(json.dumps(result))


def run(args: argparse.Namespace, ranks: int, method: str) -> dict:
    """What `work` found on so many ranks."""
    with tempfile.TemporaryDirectory() as folder:
        command = on_ranks(ranks)
        command += [sys.executable, __file__, "--worker", folder]
        for name in (
            *("layers", "hidden", "heads", "context", "dtype"),
            *("threads", "warmup", "steps"),
        ):
            command += [f"--{name}", str(getattr(args, name))]
        peak_of([*command, "--method", method])
        return json.loads((Path(folder) / "result.json").read_text())


def main() -> int:
    """Prints a line for each method; 1 where work is uneven."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warmup", type=int, default=1, help="steps before")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument(
        "--methods", choices=METHODS, nargs="+", default=METHODS
    )
    parser.add_argument("--method", default="auto", help=argparse.SUPPRESS)
    parser.add_argument(
        "--worker", type=Path, dest="folder", help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    if args.folder:
        work(args)
        return 0
    alone = run(args, 1, "auto")
    print(
        f"{args.context:,} tokens, {args.dtype}, {args.threads} threads a "
        f"rank; 1 rank: {alone['seconds']:.2f} s a step, "
        f"{alone['peaks'][0] / 2**20:,.0f} MiB",
        flush=True,
    )
    even = True
    for method in args.methods:
        result = run(args, args.ranks, method)
        most = max(result["peaks"])
        even &= result["uneven"] <= MOST_UNEVEN
        print(
            f"{method:<12} {args.ranks} ranks: "
            f"{most / 2**20:,.0f} MiB at the most "
            f"({most / alone['peaks'][0]:.2f} of one rank; each "
            f"{', '.join(f'{p / 2**20:,.0f}' for p in result['peaks'])}), "
            f"step {result['seconds'] * args.ranks / alone['seconds']:.2f} x "
            f"an even share, exposed communication {result['exposed']:.1%}, "
            f"attention's work {result['uneven']:.3f} x the least "
            f"(target {MOST_UNEVEN})",
            flush=True,
        )
    return 0 if even else 1


if __name__ == "__main__":
    sys.exit(main())
