#!/usr/bin/env python3
"""Tries models of each family that others have made; prints a table.

    python scripts/try_families.py [--llama-cpp DIR] [--only NAME] [--markdown]

Of each a random model of odd sizes is made by transformers. Tried is whether

- every tensor arrives as it was (import),
- logits are within 1e-4 of those of transformers,
- the gradient of a step is within 1e-4 of each tensor's largest,
- losses of 20 steps of AdamW are within 1e-5 of PyTorch's,
- what is imported and exported is the same bit for bit, in f32 and in bf16,
- `eisbach export --format gguf` writes a file (GGUF),
- llama.cpp's own converter takes what `eisbach export` writes,
- llama.cpp goes on with a prompt by the tokens that the model says here, with
  the same probabilities: by our file, and by that of its converter.

The last four need `--llama-cpp`, a folder of the source of llama.cpp or of
llama-cpp-python, which holds one, and `pip install sentencepiece protobuf`; the
last two `pip install xllamacpp` besides. Their models have as many rows as the
vocabulary of a real tokenizer, which the converter asks for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

_SCRIPTS = Path(__file__).resolve().parent
sys.path[:0] = [str(_SCRIPTS), str(_SCRIPTS.parent / "tests" / "python")]

from transformers.utils import logging  # noqa: E402

from families.cases import CASES, Case  # noqa: E402
from families.llama_cpp import LlamaCpp, answers, source  # noqa: E402
from families.numbers import Numbers  # noqa: E402
from families.results import Result, result_of, table  # noqa: E402


def trials(
    case: Case, home: Path, llama_cpp: Path | None
) -> dict[str, Callable[[], None]]:
    """Returns what to try of a model, by the heads of columns, in order."""
    numbers = Numbers(case, home)
    found = {
        "import": numbers.arrives,
        "logits": numbers.logits,
        "gradient": numbers.gradient,
        "20 steps": numbers.steps,
        "export": numbers.exported,
    }
    if llama_cpp:
        llama = LlamaCpp(case, home, llama_cpp)
        found |= {"GGUF": llama.gguf, "converter": llama.converts}
        if answers():
            found |= {
                "our file says": llama.own_file_answers,
                "theirs says": llama.their_file_answers,
            }
    return found


def tried(case: Case, llama_cpp: Path | None = None) -> dict[str, Result]:
    """Tries all of a model."""
    with tempfile.TemporaryDirectory(prefix="eisbach-families-") as home:
        return {
            name: result_of(trial)
            for name, trial in trials(case, Path(home), llama_cpp).items()
        }


def main() -> int:
    """Prints the table; 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llama-cpp", type=Path, metavar="DIR")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="such as `Gemma 2`"
    )
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    names = [case.name for case in CASES]
    wanted = options.only or names
    if unknown := set(wanted) - set(names):
        parser.error(f"--only {unknown.pop()}: there are {', '.join(names)}")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    llama_cpp = source(options.llama_cpp) if options.llama_cpp else None
    results = {}
    for case in CASES:
        if case.name in wanted:
            results[case.name] = tried(case, llama_cpp)
            told = ", ".join(
                f"{k} {v.what}" for k, v in results[case.name].items()
            )
            print(f"{case.name}: {told}", file=sys.stderr)
    for line in table(results, markdown=options.markdown):
        print(line)
    return any(
        r.what == "NO" for found in results.values() for r in found.values()
    )


if __name__ == "__main__":
    raise SystemExit(main())
