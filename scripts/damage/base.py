"""The runs that are damaged: one for each number of ranks, made once."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from damage.case import Case

_CONFIG = """\
run: {{name: r, dir: runs, log_every: 1, device: cpu}}
model: {{layers: 2, hidden: 32, heads: 4, context: 16}}
data:
  train: data/train
  validation: data/validation
  tokenizer: tokenizer.json
parallel: {{tensor: {tensor}, pipeline: {pipeline}}}
train:
  steps: 4
  global_batch: 8
  micro_batch: 2
  validate_every: 2
  validation_batches: 1
checkpoint: {{every_steps: 2}}
"""
_LAYOUTS = {1: (1, 1), 2: (2, 1), 4: (2, 2)}


def environment(mark: str, cache: Path) -> dict[str, str]:
    """Of all commands; `mark` tells their processes from others."""
    return {
        **os.environ,
        "EISBACH_DAMAGE": mark,
        "XDG_CACHE_HOME": str(cache),
        "OMP_NUM_THREADS": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }


def command(case: Case) -> list[str]:
    """The command of a case, with its launcher."""
    start = [sys.executable, "-m", "eisbach", *case.command]
    if case.ranks == 1:
        return start
    mpirun = Path(sys.prefix, "bin", "mpirun")
    return [
        str(mpirun) if mpirun.exists() else "mpirun",
        *("--map-by", ":oversubscribe", "--bind-to", "none"),
        *("-n", str(case.ranks), *start),
    ]


def make(folder: Path, ranks: int, told: dict[str, str]) -> Path:
    """Prepares data and trains, with a checkpoint each second step."""
    home = folder / f"base-{ranks}"
    home.mkdir()
    tensor, pipeline = _LAYOUTS[ranks]
    text = _CONFIG.format(tensor=tensor, pipeline=pipeline)
    (home / "small.yaml").write_text(text)
    words = random.Random(1)
    known = ("the", "stone", "river", "of", "and", "bends")
    lines = [" ".join(words.choices(known, k=9)) for _ in range(400)]
    (home / "text").mkdir()
    for name, part in (("train", lines), ("validation", lines[:60])):
        (home / "text" / f"{name}.txt").write_text("\n".join(part))
    _train_tokenizer(home)
    for name in ("train", "validation"):
        _run(
            [
                *(sys.executable, "-m", "eisbach", "data", "prepare"),
                *(f"text/{name}.txt", "--output", f"data/{name}"),
                *("--tokenizer", "tokenizer.json"),
            ],
            home,
            told,
        )
    whole = Case("", "", lambda path: None, ("train", "small.yaml"), ranks)
    _run(command(whole), home, told)
    os.mkfifo(home / "pipe")
    return home


def copy(base: Path, home: Path) -> None:
    """Copies a base; a pipe is made anew."""
    shutil.copytree(base, home, ignore=shutil.ignore_patterns("pipe"))
    os.mkfifo(home / "pipe")


def _train_tokenizer(home: Path) -> None:
    import tokenizers
    from tokenizers.trainers import BpeTrainer

    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = BpeTrainer(vocab_size=300, special_tokens=["<|endoftext|>"],
                         initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
                         show_progress=False)  # fmt: skip
    made.train([str(home / "text" / "train.txt")], trainer)
    made.save(str(home / "tokenizer.json"))


def _run(start: list[str], home: Path, told: dict[str, str]) -> None:
    done = subprocess.run(
        start, cwd=home, env=told, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(start)} failed:\n{done.stdout}{done.stderr}")
