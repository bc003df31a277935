"""Trained tokens a second of packed rows, beside rows that are padded.

Each function of Python's standard library that has a docstring is a document:
the docstring is read, the function trained. The same documents are trained by

- eisbach, packed into rows in which none sees another;
- eisbach, one a row, filled up with tokens that do not count;
- transformers, batches filled up to their longest document;

in turn, and medians and ratios are printed. On a machine that does nothing
else, with eisbach, torch==2.13.0 and transformers:

    python benchmarks/packing.py
"""

import argparse
import ast
import json
import random
import statistics
import sys
import sysconfig
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from children import peak_of, program
from hf_folder import make_llama
from numpy.typing import NDArray

HERE = Path(__file__).parent
TARGET = 1.5
SIZES = {
    "vocab_size": 256,
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}
# Token ids, and 1 for those that are trained.
Document = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def documents(context: int) -> Iterator[Document]:
    """Yields what fits a row of `context` predictions."""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = path.read_text(encoding="utf-8")
            tree = ast.parse(text)
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            read = ast.get_docstring(node)
            body = ast.get_source_segment(text, node)
            if not read or not body:
                continue
            ids = np.frombuffer(f"{read}\n{body}".encode(), np.uint8)
            mask = np.ones(len(ids), np.uint8)
            mask[: len(read.encode()) + 1] = 0
            yield ids[: context + 1], mask[: context + 1]


def write(prefix: Path, found: list[Document], filled: int = 0) -> None:
    """Writes token files; each document with `filled` tokens, where given."""
    from eisbach.data.token_files import TokenFile
    from eisbach.data.tokenizer import ByteTokenizer

    file = TokenFile(prefix, ByteTokenizer(), masked=True)
    for ids, mask in found:
        more = (0, max(0, filled - len(ids)))
        file.add(np.pad(ids, more), np.pad(mask, more), len(ids))
    file.close()


def ours(args: argparse.Namespace, home: Path, name: str) -> float:
    """Trained tokens a second of token files."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        peak_of(
            [
                *(program("eisbach"), "train", f"model.from={home / 'model'}"),
                f"model.context={args.context}",
                f"data.train={home / name}",
                *("data.validation=none", "data.tokenizer=bytes"),
                f"train={{steps: {args.steps}, global_batch: {args.batch}, "
                f"micro_batch: {args.batch}, validate_every: 0}}",
                "optimizer={lr: 1.0e-4, warmup_steps: 2}",
                "precision.compute=f32",
                f"run={{dir: {folder}, name: bench}}",
            ]
        )
        text = (Path(folder) / "bench" / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()][3:]
    trained = sum(line["counted"] for line in lines)
    return trained / sum(line["step_seconds"] for line in lines)


def theirs(args: argparse.Namespace, home: Path) -> float:
    """Trained tokens a second of the peer."""
    output, _ = peak_of(
        [
            *(sys.executable, str(HERE / "peers/hf_padded.py")),
            *(str(home / "model"), str(home / "documents.npz")),
            *("--batch", str(args.batch), "--steps", str(args.steps)),
        ]
    )
    return json.loads(output.strip().split("\n")[-1])["tokens_per_second"]


def main() -> None:
    """Prints lengths, rates and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    found = list(documents(args.context))
    random.Random(0).shuffle(found)
    lengths = [len(ids) for ids, _ in found]
    cuts = statistics.quantiles(lengths, n=10)
    print(
        f"{len(found)} documents of {statistics.mean(lengths):.0f} tokens, "
        f"a tenth below {cuts[0]:.0f}, half below {cuts[4]:.0f}, a tenth "
        f"above {cuts[8]:.0f}; rows of {args.context}"
    )
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_llama(home / "model", SIZES, "float32")
        write(home / "packed", found)
        write(home / "padded", found, args.context + 1)
        np.savez(
            home / "documents.npz",
            ids=np.concatenate([ids for ids, _ in found]),
            mask=np.concatenate([mask for _, mask in found]),
            lengths=lengths,
        )
        rates: dict[str, list[float]] = {}
        for _ in range(args.rounds):
            for name in ("packed", "padded"):
                rates.setdefault(name, []).append(ours(args, home, name))
            rates.setdefault("transformers", []).append(theirs(args, home))
    packed, padded, peer = map(statistics.median, rates.values())
    print(
        f"trained tokens/s: packed {packed:.0f}, padded {padded:.0f}, "
        f"transformers padded to the longest of a batch {peer:.0f}; packed is "
        f"{packed / padded:.2f} x padded (target {TARGET}), "
        f"{packed / peer:.2f} x transformers"
    )


if __name__ == "__main__":
    main()
