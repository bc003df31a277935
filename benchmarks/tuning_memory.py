"""Memory of each way of tuning a 135 M Llama, measured and estimated.

Runs three steps of `eisbach train` for each and prints a line of a table: the
largest resident set, what the allocator held at most, and what
`eisbach estimate` says before. With eisbach, torch==2.13.0 and transformers:

    python benchmarks/tuning_memory.py
"""

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path

from children import peak_of, program
from hf_folder import SMALL, make_llama

F32, BF16 = "precision.compute=f32", "precision.compute=bf16"
LORA = "adapter={rank: 16, alpha: 32}"
PAIRS = "train.objective=dpo"
NOW = "checkpoint.asynchronous=false"
# What it is, and the keys that make it so.
WAYS = [
    ("all weights, f32", [F32]),
    ("the same, checkpoints not behind training", [F32, NOW]),
    ("all weights, bf16", [BF16]),
    ("adapters, f32", [F32, LORA]),
    ("adapters, bf16", [BF16, LORA]),
    ("preferences with adapters, bf16", [BF16, LORA, PAIRS]),
    ("preferences, all weights, bf16", [BF16, PAIRS]),
]


def estimated(keys: list[str]) -> str:
    """What `eisbach estimate` says of the peak."""
    done = subprocess.run(
        [program("eisbach"), "estimate", *keys],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    unit = re.search(r"^(.iB) of memory", done.stdout, re.MULTILINE)[1]
    row = re.search(r"^0 .* (\S+)$", done.stdout, re.MULTILINE)
    return f"{row[1]} {unit}"


def measure(keys: list[str], home: Path) -> tuple[int, int]:
    """Bytes of a process and of its allocator."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        run = f"run={{dir: {folder}, name: bench}}"
        _, peak = peak_of([program("eisbach"), "train", *keys, run])
        text = (Path(folder) / "bench" / "metrics.jsonl").read_text()
    last = json.loads(text.splitlines()[-1])
    return peak, last["peak_memory_bytes"]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--context", type=int, default=512)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_llama(home / "model", SMALL, "bfloat16")
        say = {"role": "user", "content": "Say a number."}
        pairs = [
            {"prompt": [say], "chosen": f"{i} it is", "rejected": f"not {i}"}
            for i in range(2000)
        ]
        talks = [
            {"messages": [say, {"role": "assistant", "content": f"{i}"}]}
            for i in range(2000)
        ]
        for name, records in (("pairs", pairs), ("talks", talks)):
            text = "".join(f"{json.dumps(record)}\n" for record in records)
            (home / f"{name}.jsonl").write_text(text)
        print("| what | process, MiB | allocator, MiB | estimate |")
        print("| --- | --- | --- | --- |")
        for what, keys in WAYS:
            data = "pairs" if PAIRS in keys else "talks"
            keys = [
                f"model.from={home / 'model'}",
                f"model.context={args.context}",
                f"data.train={home / data}.jsonl",
                *("data.validation=none", "data.tokenizer=bytes"),
                "data.template=chatml",
                f"train={{steps: 3, global_batch: {args.batch}, "
                f"micro_batch: {args.batch}, validate_every: 0}}",
                *keys,
            ]
            process, allocator = measure(keys, home)
            print(
                f"| {what} | {process >> 20:,} | {allocator >> 20:,} | "
                f"{estimated(keys)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
