"""transformers' side of finetune.py and import_model.py.

Trains a folder by AdamW on rows of random tokens, whole or by PEFT's LoRA, or
only loads it. Prints one JSON line: median seconds of a step, or of loading.
"""

import argparse
import json
import statistics
import time

import torch
import transformers

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def load(folder: str, dtype: torch.dtype) -> torch.nn.Module:
    """The folder's model in a type."""
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype
    )


def train(args: argparse.Namespace) -> float:
    """Median seconds of a step after the first three."""
    # Mixed precision of the whole model has f32 masters, as ours has.
    lora = args.rank > 0
    mixed = args.dtype == "bf16"
    model = load(args.folder, DTYPES[args.dtype if lora else "f32"])
    if lora:
        import peft

        model = peft.get_peft_model(
            model,
            peft.LoraConfig(
                r=args.rank,
                lora_alpha=2 * args.rank,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            ),
        )
    model.train()
    parameters = [it for it in model.parameters() if it.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, foreach=True)
    vocab = model.config.vocab_size
    seconds = []
    for _ in range(args.steps):
        tokens = torch.randint(0, vocab, (args.batch, args.context))
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[3:])


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--rank", type=int, default=0, help="0: all weights")
    parser.add_argument("--dtype", choices=DTYPES, default="f32")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--steps", type=int, default=8, help="0: only loads")
    args = parser.parse_args()
    if args.steps:
        seconds = train(args)
    else:
        began = time.perf_counter()
        model = load(args.folder, DTYPES[args.dtype])
        # Mapped files are read when they are used.
        sum(float(it.sum()) for it in model.parameters())
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
