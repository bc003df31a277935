"""Tokens a second of sampling with a cache, beside generate of transformers.

Makes a folder of a random GPT-2 (124 M unless --layers and the like say
otherwise), then lets both continue the same prompts greedily by the same
number of tokens, in turn, in a process each: the model is loaded, and a short
text made, before the clock starts. Prints medians and ratios:

    python benchmarks/sampling.py --batches 1 8
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGET = 1.5


def make_folder(folder: Path, args: argparse.Namespace) -> None:
    """Writes a random model of transformers."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=args.layers,
        n_embd=args.hidden,
        n_head=args.heads,
        vocab_size=args.vocab,
        n_positions=args.context,
    )
    net = transformers.AutoModelForCausalLM.from_config(config)
    net.save_pretrained(folder)


def prompts(args: argparse.Namespace, batch: int) -> list[list[int]]:
    """Prompts of one length, as transformers has no others without padding."""
    return [
        [(31 * row + 7 * place) % args.vocab for place in range(args.prompt)]
        for row in range(batch)
    ]


def eisbach_seconds(folder: Path, args: argparse.Namespace) -> float:
    """Seconds of ours."""
    from eisbach.sampling import load_model

    model = load_model(
        folder,
        [f"precision.compute={args.dtype}", f"run.threads={args.threads}"],
        tokenizer="bytes",
    )
    every = prompts(args, args.batch)
    options = {"temperature": 0.0}
    model.decoder.generate([[1] for _ in every], tokens=3, **options)
    start = time.perf_counter()
    made = model.decoder.generate(every, tokens=args.tokens, **options)
    seconds = time.perf_counter() - start
    assert all(len(one.tokens) == args.tokens for one in made)
    return seconds


def transformers_seconds(folder: Path, args: argparse.Namespace) -> float:
    """Seconds of theirs."""
    import torch
    import transformers

    torch.set_num_threads(args.threads)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[args.dtype]
    net = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    net.eval()
    ids = torch.tensor(prompts(args, args.batch))

    def generate(ids: torch.Tensor, tokens: int) -> torch.Tensor:
        return net.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            pad_token_id=0,
        )

    with torch.inference_mode():
        generate(ids[:, :1], 3)
        start = time.perf_counter()
        made = generate(ids, args.tokens)
        seconds = time.perf_counter() - start
    assert made.shape[1] == args.prompt + args.tokens
    return seconds


def measure(side: str, folder: Path, args: argparse.Namespace) -> float:
    """Tokens a second of one side, in a new process."""
    command = [sys.executable, __file__, "--side", side, "--folder", folder]
    for name in ("prompt", "tokens", "batch", "vocab", "threads", "dtype"):
        command += [f"--{name}", str(getattr(args, name))]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{side} failed:\n{done.stderr}")
    seconds = json.loads(done.stdout.splitlines()[-1])
    return args.batch * args.tokens / seconds


def main() -> None:
    """Prints a line for each batch."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    for name, value in (
        ("layers", 12),
        ("hidden", 768),
        ("heads", 12),
        ("vocab", 50257),
        ("context", 1024),
        ("prompt", 128),
        ("tokens", 128),
        ("batch", 1),
        ("threads", 2),
        ("rounds", 3),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--side", choices=["eisbach", "transformers"])
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    sides = {"eisbach": eisbach_seconds, "transformers": transformers_seconds}
    if args.side:
        print(json.dumps(sides[args.side](args.folder, args)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_folder(folder, args)
        for batch in args.batches:
            args.batch = batch
            rates = {side: [] for side in sides}
            for _ in range(args.rounds):
                for side, found in rates.items():
                    found.append(measure(side, folder, args))
            ours, theirs = map(statistics.median, rates.values())
            print(
                f"{args.dtype}, batch {args.batch}: eisbach {ours:.1f} "
                f"tokens/s, transformers {theirs:.1f} tokens/s, ratio "
                f"{ours / theirs:.2f} (target {TARGET})",
                flush=True,
            )


if __name__ == "__main__":
    main()
