"""Saving and loading the state of a 124 M model, beside PyTorch and `dd`.

In turn, each in a process of its own: Eisbach's saves behind training, `dd`
past the page cache and with fsync of as many bytes as a checkpoint has (random
ones: zeros need not be stored), and torch.distributed.checkpoint's async_save
of the same tensors (peers/torch_checkpoint.py). Prints for both the seconds
that a save holds training up (the first and the later ones), bytes a second
until it is on the disk, and of loading it from there, for ours also of `eisbach
checkpoint verify` and of `dd`s that read its files; then the ratios. Run it in
an environment with eisbach and torch==2.13.0, on a machine that does nothing
else:

    python benchmarks/checkpoints.py --folder /data
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from page_cache import forget

HERE = Path(__file__).parent
SAVES = 4  # of a process; the first is told apart
DD = ("dd", "bs=4M", "status=none")
VERBS = {
    "rate": "saves",
    "load": "loads",
    "verify": "verifies",
    "read": "reads",
    "cached": "reads through the page cache",
}
VOCAB, LAYERS, HIDDEN = 50304, 12, 768


def make_engine(world, *, data=1, tensor=1, pipeline=1):
    """A rank of GPT-2's shape on a layout, with AdamW."""
    from eisbach import _C
    from eisbach.config import load_config, resolve
    from eisbach.core_config import complete, engine_config

    mesh = _C.Mesh(world.size, data=data, tensor=tensor, pipeline=pipeline)
    keys = [
        f"model={{layers: {LAYERS}, hidden: {HIDDEN}, heads: {HIDDEN // 64}, "
        f"context: 1024, vocab: {VOCAB}}}",
        f"train={{steps: 100, global_batch: {data}, micro_batch: 1}}",
        "optimizer={schedule: constant, warmup_steps: 0}",
        "precision.compute=f32",
        f"parallel={{data: {data}, tensor: {tensor}, pipeline: {pipeline}}}",
    ]
    config = complete(resolve(load_config(None, keys)))
    context = _C.ParallelContext(world, mesh)
    return _C.Engine(engine_config(config), context)


def ours(folder: Path, saves: int, turn: int) -> dict[str, list[float]]:
    """Saves after each of a few steps, then reads what was saved.

    A disk of a virtual machine remembers what was read, so each way to read
    (load, verify, `dd` past the page cache and through it) has a save that
    nobody has read yet, and by `turn` another one.
    """
    import numpy as np

    from eisbach import _C

    engine = make_engine(_C.init(device="cpu"))
    engine.prepare_saves(asynchronous=True)
    rng = np.random.default_rng(0)
    found = {"stall": [], "rate": []}
    paths = []
    for _ in range(saves):
        tokens = rng.integers(0, VOCAB, (1, 1025))
        engine.step(_C.Batch(tokens[:, :-1], tokens[:, 1:], engine.device))
        began = time.perf_counter()
        engine.begin_save(folder)
        found["stall"].append(time.perf_counter() - began)
        outcome = engine.finish_save()
        seconds = time.perf_counter() - began
        outcome.check()
        found["rate"].append(outcome.bytes / seconds)
        found["bytes"] = outcome.bytes
        paths.append(outcome.path)

    reads = [
        ("load", engine.load),
        ("verify", verify),
        ("read", lambda path: dd_read(path, "iflag=direct")),
        ("cached", dd_read),
    ]
    forget(folder)
    for i, (name, read) in enumerate(reads):
        path = paths[(turn + i) % len(paths)]
        began = time.perf_counter()
        read(path)
        found[name] = [outcome.bytes / (time.perf_counter() - began)]
    return found


def verify(path: str) -> None:
    """Checks a checkpoint as `eisbach checkpoint verify` does."""
    from eisbach import _C

    faults = _C.verify_checkpoint(path, lambda done, total: None).faults
    if faults:
        raise ValueError(f"{path}: {faults}")


@contextlib.contextmanager
def noise(size: int) -> Iterator[Path]:
    """A file in memory of so many random bytes, or as many as fit."""
    memory = Path("/dev/shm")
    size = min(size, shutil.disk_usage(memory).free // 2)
    with tempfile.NamedTemporaryFile(dir=memory) as file:
        for _ in range(size >> 20):
            file.write(random.randbytes(1 << 20))
        file.flush()
        yield Path(file.name)


def dd_read(folder: str, *flags: str) -> None:
    """Reads the files of a folder."""
    for path in Path(folder).iterdir():
        subprocess.run([*DD, f"if={path}", "of=/dev/null", *flags], check=True)


def dd_write(folder: Path, source: Path, size: int) -> dict[str, list[float]]:
    """Bytes a second of `dd`, past the page cache and with fsync.

    Args:
      folder: For the file.
      source: Of its bytes; again from the beginning where it has too few.
      size: Of the file, to whole blocks.
    """
    path = folder / "dd"
    began = time.perf_counter()
    left, at = size >> 22, 0
    while left > 0:
        count = min(left, max(1, source.stat().st_size >> 22))
        subprocess.run(
            [*DD, f"if={source}", f"of={path}", f"count={count}",
             f"seek={at}", "oflag=direct", "conv=fsync,notrunc"],
            check=True,
        )  # fmt: skip
        left, at = left - count, at + count
    return {"rate": [path.stat().st_size / (time.perf_counter() - began)]}


def run(
    side: str, parent: Path, size: int, saves: int, turn: int
) -> dict[str, list[float]]:
    """Measures one side once, in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"{side}-", dir=parent))
    try:
        if side == "dd":
            with noise(size) as source:
                return dd_write(folder, source, size)
        script = (
            HERE / "peers" / "torch_checkpoint.py"
            if side == "torch"
            else Path(__file__)
        )
        told = subprocess.check_output(
            [
                sys.executable,
                script,
                "--side",
                side,
                "--folder",
                folder,
                "--saves",
                str(saves),
                *(["--turn", str(turn)] if side == "eisbach" else []),
            ],
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE)},
        )
        return json.loads(told.splitlines()[-1])
    finally:
        shutil.rmtree(folder)
        os.sync()


def main() -> None:
    """Prints a line a side, then the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--saves", type=int, default=SAVES)
    parser.add_argument("--side", choices=["eisbach"], help="one side alone")
    parser.add_argument("--turn", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(ours(args.folder, args.saves, args.turn)))
        return
    sides = ("eisbach", "dd", "torch")
    found: dict[str, dict[str, list[float]]] = {side: {} for side in sides}
    size = 0
    for turn in range(args.rounds):
        for side in sides:
            told = run(side, args.folder, size, args.saves, turn)
            size = told.pop("bytes", size)
            for name in ("read", "cached"):
                found["dd"].setdefault(name, []).extend(told.pop(name, []))
            if "stall" in told:
                stalls = told.pop("stall")
                told["first"], told["stall"] = stalls[:1], stalls[1:]
            for name, values in told.items():
                found[side].setdefault(name, []).extend(values)
    middle = {
        side: {name: statistics.median(v) for name, v in values.items()}
        for side, values in found.items()
    }
    print(f"{size / 1e9:.2f} GB of state")
    for side, values in middle.items():
        stall = (
            f"stall {values['first']:.3f} s first, {values['stall']:.3f} s "
            "later, "
            if "stall" in values
            else ""
        )
        rates = ", ".join(
            f"{verb} {values[name] / 1e6:,.0f} MB/s"
            for name, verb in VERBS.items()
            if name in values
        )
        print(f"{side:>8}: {stall}{rates}")
    us, disk, them = (middle[side] for side in sides)
    print(
        f"stall by PyTorch: {them['first'] / us['first']:.1f} x less first, "
        f"{them['stall'] / us['stall']:.1f} x later (target 2)\n"
        f"saves: {us['rate'] / them['rate']:.2f} x PyTorch (target 1.2), "
        f"{us['rate'] / disk['rate']:.2f} of dd (target 0.6)\n"
        f"loads: {us['load'] / them['load']:.2f} x PyTorch, "
        f"{us['load'] / disk['read']:.2f} of dd past the page cache, "
        f"{us['load'] / disk['cached']:.2f} of dd through it (target 0.6)\n"
        f"verifies: {us['verify'] / disk['read']:.2f} of dd past the page "
        f"cache (target 0.6)"
    )


if __name__ == "__main__":
    main()
