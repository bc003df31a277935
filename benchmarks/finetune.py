"""A step of tuning a 135 M Llama, against transformers and PEFT.

Runs `eisbach train` and peers/hf_finetune.py in turn on the same folder of
random weights, all of them trained or adapters (LoRA) beside them, and prints
medians of time, peaks of memory and the ratios. On a machine that does nothing
else, with eisbach, torch==2.13.0, transformers and peft:

    python benchmarks/finetune.py
    python benchmarks/finetune.py --folder SmolLM2-135M --dtype bf16
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
from pathlib import Path

from children import peak_of, program
from hf_folder import SMALL, make_llama

HERE = Path(__file__).parent


def ours(args: argparse.Namespace, rank: int, home: Path) -> tuple[float, int]:
    """Seconds of a step, and bytes."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        command = [
            *(program("eisbach"), "train", f"model.from={args.folder}"),
            f"model.context={args.context}",
            f"data.train={home / 'text.txt'}",
            *("data.validation=none", "data.tokenizer=bytes"),
            f"train={{steps: {args.steps}, global_batch: {args.batch}, "
            f"micro_batch: {args.batch}, validate_every: 0}}",
            "optimizer={lr: 1.0e-5, warmup_steps: 2}",
            f"precision.compute={args.dtype}",
            f"run={{dir: {folder}, name: bench}}",
        ]
        if rank:
            command.append(f"adapter={{rank: {rank}, alpha: {2.0 * rank}}}")
        _, peak = peak_of(command)
        text = (Path(folder) / "bench" / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()][3:]
    return statistics.median(line["step_seconds"] for line in lines), peak


def theirs(args: argparse.Namespace, rank: int) -> tuple[float, int]:
    """The same of the peer."""
    output, peak = peak_of(
        [
            *(sys.executable, str(HERE / "peers/hf_finetune.py")),
            *(str(args.folder), "--rank", str(rank), "--dtype", args.dtype),
            *("--batch", str(args.batch), "--context", str(args.context)),
            *("--steps", str(args.steps)),
        ]
    )
    return json.loads(output.strip().split("\n")[-1])["seconds"], peak


def main() -> None:
    """Prints a line for each way of tuning."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="default: random weights")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ranks", nargs="+", type=int, default=[0, 16],
                        help="of adapters; 0: all weights")  # fmt: skip
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if args.folder is None:
            args.folder = home / "model"
            make_llama(args.folder, SMALL, "bfloat16")
        draw = random.Random(0)
        words = (home / "text.txt").open("w")
        with words:
            for _ in range(40000):
                words.write(f"{draw.randrange(10**6)} ")
        tokens = args.batch * args.context
        for rank in args.ranks:
            pairs = [
                (ours(args, rank, home), theirs(args, rank))
                for _ in range(args.rounds)
            ]
            own, peer = (
                statistics.median(pair[i][0] for pair in pairs)
                for i in range(2)
            )
            own_peak, peer_peak = (
                max(pair[i][1] for pair in pairs) for i in range(2)
            )
            what = f"adapters of rank {rank}" if rank else "all weights"
            print(
                f"{what}, {args.dtype}: eisbach {tokens / own:.0f} tokens/s "
                f"{own_peak >> 20} MiB; transformers {tokens / peer:.0f} "
                f"tokens/s {peer_peak >> 20} MiB; speed ratio "
                f"{peer / own:.2f}, memory ratio {own_peak / peer_peak:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
