"""Collectives of PyTorch on Gloo, timed as benchmarks/collectives.cc does.

Run by benchmarks/collectives.py, with torch==2.13.0:

    torchrun --nproc-per-node 2 gloo_collectives.py [LARGEST_BYTES]

Prints one JSON object a line.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.distributed as dist

BATCHED_BYTES = 64 << 10
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def _call(name: str, tensor: torch.Tensor) -> tuple[torch.Tensor, Callable]:
    """The input that is written anew, and the call itself."""
    piece = tensor.chunk(dist.get_world_size())[dist.get_rank()]
    if name == "all_reduce":
        return tensor, lambda: dist.all_reduce(tensor)
    if name == "all_gather":  # in place
        return piece, lambda: dist.all_gather_into_tensor(tensor, piece)
    piece = piece.clone()
    return tensor, lambda: dist.reduce_scatter_tensor(piece, tensor)


def _measure(name: str, dtype: str, size: int) -> float:
    """Median over repetitions of the slowest rank's seconds."""
    element = torch.finfo(DTYPES[dtype]).bits // 8
    whole = torch.zeros(size // element, dtype=DTYPES[dtype])
    inputs, call = _call(name, whole)
    batch = 200 if size < BATCHED_BYTES else 1
    seconds = []
    for repetition in range(-2, 15 if size >= 8 << 20 else 41):
        inputs.zero_()
        dist.barrier()
        begin = time.perf_counter()
        for i in range(batch):
            if i > 0:
                inputs.zero_()
            call()
        one = torch.tensor([(time.perf_counter() - begin) / batch])
        dist.all_reduce(one, op=dist.ReduceOp.MAX)
        if repetition >= 0:
            seconds.append(one.item())
    return statistics.median(seconds)


def main() -> None:
    """Runs every call, dtype and size."""
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else 64 << 20
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    # As mpirun does with two ranks: each has a core.
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[dist.get_rank() % len(cores)]})
    for call in ("all_reduce", "reduce_scatter", "all_gather"):
        for dtype in DTYPES:
            size = 256
            while size <= largest:
                line = {
                    "call": call, "dtype": dtype, "bytes": size,
                    "contender": "gloo",
                    "seconds": _measure(call, dtype, size),
                }  # fmt: skip
                if dist.get_rank() == 0:
                    print(json.dumps(line), flush=True)
                size *= 4
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
