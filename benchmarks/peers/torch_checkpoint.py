"""PyTorch's side of checkpoints.py: async_save and load of the same tensors.

One process of torch.distributed over Gloo. Parameters and AdamW's two moments
of GPT-2's shape; the stager keeps its memory from save to save. Prints one JSON
line: seconds that each call of async_save took, bytes a second until its future
was done, and of a load into the same tensors.
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from page_cache import forget  # of checkpoints.py, which starts this
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from torch_gpt import Gpt


def main() -> None:
    """Saves after each of a few steps, then loads the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--saves", type=int, default=3)
    parser.add_argument("--side", choices=["torch"], default="torch")
    args = parser.parse_args()
    dist.init_process_group(
        "gloo", store=dist.HashStore(), rank=0, world_size=1
    )
    torch.manual_seed(0)
    model = Gpt(
        argparse.Namespace(
            layers=12, hidden=768, heads=12, context=1024, vocab=50304
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    # Staging in the background, pinned memory and copies that do not block are
    # for accelerators.
    stager = DefaultStager(
        StagingOptions(
            use_pinned_memory=False,
            use_shared_memory=False,
            use_async_staging=False,
            use_non_blocking_copy=False,
        )
    )
    found = {"stall": [], "rate": [], "load": []}
    state = {}
    for save in range(args.saves):
        tokens = torch.randint(0, 50304, (1, 1025))
        loss = model(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        state = {name: p.data for name, p in model.named_parameters()}
        for name, parameter in model.named_parameters():
            for part in ("exp_avg", "exp_avg_sq"):
                state[f"{part}.{name}"] = optimizer.state[parameter][part]
        size = sum(t.numel() * t.element_size() for t in state.values())
        path = args.folder / f"step-{save}"
        writer = dcp.FileSystemWriter(path, sync_files=True)
        began = time.perf_counter()
        future = dcp.async_save(
            state, storage_writer=writer, async_stager=stager
        )
        found["stall"].append(time.perf_counter() - began)
        future.result()
        found["rate"].append(size / (time.perf_counter() - began))
        found["bytes"] = size
    forget(args.folder)
    began = time.perf_counter()
    dcp.load(state, checkpoint_id=path)
    found["load"].append(found["bytes"] / (time.perf_counter() - began))
    print(json.dumps(found), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
