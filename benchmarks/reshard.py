"""Seconds and memory of going on with a checkpoint on every other layout.

Saves the state of a 124 M model with AdamW from 8 ranks (data 2 x tensor 2 x
pipeline 2), then loads it, without any step between, on each layout of 1, 2, 4
and 8 ranks that the model fits on. Prints a line a layout: the seconds of the
slowest rank, the checks of all files included, and the most memory that a rank
had, beside what it had before. Files come from the page cache where they fit.

    python benchmarks/reshard.py --folder /data
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from checkpoints import HIDDEN, LAYERS, make_engine
from children import on_ranks

HEADS = HIDDEN // 64


def layouts() -> list[tuple[int, int, int]]:
    """Data x tensor x pipeline of 1, 2, 4 and 8 ranks."""
    return [
        (ranks // tensor // pipeline, tensor, pipeline)
        for ranks in (1, 2, 4, 8)
        for tensor in (1, 2, 4, 8)
        for pipeline in (1, 2, 4, 8)
        if ranks % (tensor * pipeline) == 0
        and HEADS % tensor == 0
        and pipeline <= LAYERS
    ]


def megabytes(name: str) -> int:
    """VmRSS or VmHWM of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) // 1000


def as_rank(task: str, folder: Path, layout: tuple[int, int, int]) -> None:
    """Saves or loads, as one of the ranks; rank 0 prints JSON."""
    from eisbach import _C

    data, tensor, pipeline = layout
    world = _C.init(device="cpu")
    engine = make_engine(world, data=data, tensor=tensor, pipeline=pipeline)
    if task == "save":
        engine.save(folder)
        return
    before = world.largest(megabytes("VmRSS"))
    world.barrier()
    began = time.perf_counter()
    engine.load(folder / "step-00000000")
    seconds = time.perf_counter() - began
    told = {
        "seconds": world.largest(int(seconds * 1000)) / 1000,
        "before": before,
        "peak": world.largest(megabytes("VmHWM")),
    }
    if world.rank == 0:
        print(json.dumps(told), flush=True)


def on_layout(task: str, folder: Path, layout: tuple[int, int, int]) -> str:
    """Runs this program on the ranks of a layout; returns what it prints."""
    ranks = layout[0] * layout[1] * layout[2]
    return subprocess.check_output(
        [*on_ranks(ranks, "--oversubscribe"), sys.executable,
         __file__, "--task", task, "--folder", folder,
         "--layout", ",".join(map(str, layout))],
        text=True,
        env={**os.environ, "OMP_WAIT_POLICY": "passive"},
    )  # fmt: skip


def main() -> None:
    """Prints a table, as it comes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--task", choices=["save", "load"])
    parser.add_argument("--layout")
    args = parser.parse_args()
    if args.task:
        data, tensor, pipeline = map(int, args.layout.split(","))
        as_rank(args.task, args.folder, (data, tensor, pipeline))
        return
    folder = Path(tempfile.mkdtemp(prefix="reshard-", dir=args.folder))
    try:
        on_layout("save", folder, (2, 2, 2))
        print("| ranks | data x tensor x pipeline | s | MB before | MB peak |")
        print("| --- | --- | --- | --- | --- |")
        for layout in layouts():
            told = json.loads(on_layout("load", folder, layout))
            name = " x ".join(map(str, layout))
            ranks = layout[0] * layout[1] * layout[2]
            print(
                f"| {ranks} | {name} | {told['seconds']:.2f} | "
                f"{told['before']:,} | {told['peak']:,} |",
                flush=True,
            )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
