"""PyTorch's side of train_cpu.py and train_gpu.cc: the same GPT and recipe.

Pre-norm GPT-2 blocks, tied head, tanh GELU, AdamW with decay on matrices only,
clipping at 1.0. Under torchrun it is data-parallel over Gloo, with `--fsdp` by
fully_shard, a block at a time. Prints one JSON
line: median seconds of a step, tokens of it, last loss, peak memory. With
`--device cuda` on one GPU; where PyTorch sees none it says so and ends with 77.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.fsdp import fully_shard


class Block(nn.Module):
    """A transformer block on x [B, T, hidden]."""

    def __init__(self, hidden: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(hidden)
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.output = nn.Linear(hidden, hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.up = nn.Linear(hidden, 4 * hidden)
        self.down = nn.Linear(4 * hidden, hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, hidden = x.shape
        split = (batch, length, 3, self.heads, hidden // self.heads)
        q, k, v = self.qkv(self.norm1(x)).view(split).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        mixed = mixed.transpose(1, 2).reshape(batch, length, hidden)
        x = x + self.output(mixed)
        up = F.gelu(self.up(self.norm2(x)), approximate="tanh")
        return x + self.down(up)


class Gpt(nn.Module):
    """Tokens and targets [B, T] to the mean loss."""

    def __init__(self, args: argparse.Namespace):
        super().__init__()
        self.tokens = nn.Embedding(args.vocab, args.hidden)
        self.positions = nn.Embedding(args.context, args.hidden)
        self.blocks = nn.ModuleList(
            Block(args.hidden, args.heads) for _ in range(args.layers)
        )
        self.norm = nn.LayerNorm(args.hidden)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(x.shape[1], device=x.device)
        h = self.tokens(x) + self.positions(positions)
        for block in self.blocks:
            h = block(h)
        logits = F.linear(self.norm(h), self.tokens.weight)
        return F.cross_entropy(logits.float().flatten(0, 1), y.flatten())


def main() -> None:
    """Trains on random tokens and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in {
        "layers": 6, "hidden": 384, "heads": 6, "context": 256, "batch": 16,
        "vocab": 256, "steps": 12,
    }.items():  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--fsdp", action="store_true")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("NOT RUN: PyTorch sees no GPU")
        sys.exit(77)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // world))
    if world > 1:
        dist.init_process_group("gloo")
    torch.manual_seed(0)
    plain = Gpt(args).to(args.device)
    if args.fsdp:
        for block in plain.blocks:
            fully_shard(block)
        model = fully_shard(plain)
    elif world > 1:
        model = nn.parallel.DistributedDataParallel(plain)
    else:
        model = plain
    if args.compile:
        model = torch.compile(model)
    parameters = list(plain.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.dim() > 1]},
            {
                "params": [p for p in parameters if p.dim() < 2],
                "weight_decay": 0.0,
            },
        ],
        lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True,
    )  # fmt: skip
    shape = (args.batch // world, args.context + 1)
    texts = [
        torch.randint(min(args.vocab, 256), shape)  # bytes, as ours
        for _ in range(args.steps)
    ]
    seconds = []
    losses = []
    for text in [one.to(args.device) for one in texts]:
        start = time.perf_counter()
        with torch.autocast(args.device, torch.bfloat16, args.dtype == "bf16"):
            loss = model(text[:, :-1], text[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append(loss.detach())
        # A GPU computes this step while the loss of the one before is read.
        last = losses[-1 if args.device == "cpu" else -2 :][0].item()
        seconds.append(time.perf_counter() - start)
    if int(os.environ.get("RANK", "0")) == 0:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if args.device == "cuda":
            peak = torch.cuda.max_memory_allocated()
        print(
            json.dumps(
                {
                    "step_seconds": statistics.median(seconds[3:] or seconds),
                    "tokens": args.batch * args.context,
                    "loss": last,
                    "peak_memory_bytes": peak,
                }
            )
        )
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
