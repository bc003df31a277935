"""Trains a model of one's own, composed in Python, on any number of ranks.

    python examples/custom_model.py
    mpirun -n 2 python examples/custom_model.py

A transformer whose blocks run attention and MLP side by side (as GPT-J's do),
which none of the families of `eisbach train` has. Each rank takes its share
of the batch; gradients are summed over ranks while backward goes on, and the
losses are the same for every number of ranks, up to rounding.
"""

from __future__ import annotations

import argparse

import eisbach
from eisbach import functional, nn
from eisbach.data.prepare import prepare_default
from eisbach.data.tokenizer import ByteTokenizer

VOCAB, CONTEXT, HIDDEN, HEADS, LAYERS = 256, 64, 128, 4, 3
GLOBAL_BATCH, MICRO_BATCH = 16, 4


class ParallelBlock(nn.Module):
    """x + attention(norm(x)) + mlp(norm(x))."""

    def __init__(self, name: str, rope: eisbach.Tensor):
        self.norm = nn.Norm(f"{name}.norm", HIDDEN, kind="rms")
        self.attention = nn.Attention(
            f"{name}.attention", HIDDEN, HEADS, bias=False, rope=rope
        )
        self.up = nn.Linear(f"{name}.up", HIDDEN, 4 * HIDDEN)
        self.down = nn.Linear(f"{name}.down", 4 * HIDDEN, HIDDEN)

    def forward(
        self, x: eisbach.Tensor, context: nn.ForwardContext
    ) -> eisbach.Tensor:
        """Returns a tensor of the shape of x, [B, T, HIDDEN]."""
        y = self.norm(x, context)
        mixed = self.attention(y, context)
        thought = self.down(functional.gelu(self.up(y, context)), context)
        return functional.add(x, functional.add(mixed, thought))


class Model(nn.Module):
    """Bytes in, the loss of the next byte out."""

    def __init__(self, device: eisbach.Device):
        rope = nn.rope_table(CONTEXT, HIDDEN // HEADS, device)
        table = eisbach.Parameter("token.weight", (VOCAB, HIDDEN))
        self.embedding = nn.Embedding(table)
        self.blocks = [
            ParallelBlock(f"blocks.{i}", rope) for i in range(LAYERS)
        ]
        self.norm = nn.Norm("final_norm", HIDDEN, kind="rms")
        self.head = nn.Head(table)  # tied to the embedding

    def loss(
        self,
        tokens: eisbach.Tensor,
        targets: eisbach.Tensor,
        context: nn.ForwardContext,
        scale: float,
    ) -> eisbach.Tensor:
        """Returns scale x the sum over tokens, f64 [1]."""
        x = self.embedding(tokens, context)
        for block in self.blocks:
            x = block(x, context)
        return self.head.loss(self.norm(x, context), targets, context, scale)


def main() -> None:
    """Trains, and prints the loss on rank 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument(
        "--compute", choices=["auto", "f32", "bf16"], default="auto"
    )
    arguments = parser.parse_args()
    steps = arguments.steps

    world = eisbach.init()
    context = eisbach.ParallelContext(world, eisbach.Mesh(world.size))
    config = eisbach.make_config(
        optimizer={"lr": 3e-3, "warmup_steps": 5},
        train={"steps": steps},
        precision={"compute": arguments.compute},
    )
    if world.rank == 0:
        prepare_default(ByteTokenizer())
    world.barrier()
    text, _ = prepare_default(ByteTokenizer())
    corpus = eisbach.Corpus(
        [(str(text), 1.0)], context=CONTEXT, vocab=VOCAB, seed=config.run.seed
    )
    loader = eisbach.DataLoader(
        corpus,
        global_batch=GLOBAL_BATCH,
        data_rank=world.rank,
        data_size=world.size,
    )

    model = Model(world.device)
    micro_batch = min(MICRO_BATCH, loader.samples_per_rank)
    micro_batches = loader.samples_per_rank // micro_batch
    update = eisbach.Update(
        model.parameters(),
        eisbach.update_config(config),
        context,
        sums=micro_batches,
    )
    graph = eisbach.Graph()
    scale = 1.0 / (GLOBAL_BATCH * CONTEXT)
    for step in range(1, steps + 1):
        batch = loader.next(world.device)
        update.begin_step(micro_batches)
        for i in range(micro_batches):
            rows = 0, i * micro_batch, micro_batch
            forward = update.forward_context(
                training=True, samples=batch.samples.narrow(*rows)
            )
            with graph:
                loss = model.loss(
                    batch.tokens.narrow(*rows),
                    batch.targets.narrow(*rows),
                    forward,
                    scale,
                )
            graph.backward(loss)
            update.set_sum(i, loss)
        update.finish()
        if world.rank == 0:
            print(
                f"step {step:>3}  loss {sum(update.sums):.6f}"
                f"  grad_norm {update.grad_norm:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
