"""What llama.cpp makes of a model: its converter, and what it computes."""

from __future__ import annotations

import functools
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from eisbach import _C
from families.numbers import export, loaded
from families.results import Absent, Apart, Refused
from families.vocabularies import write_vocabulary
from support.peers import write_random

if TYPE_CHECKING:
    from families.cases import Case

_PROMPT = (5, 31, 300, 17, 290, 44, 260, 9, 33, 281, 71, 100)
_TOKENS = 24
_TEXTS = (
    "Hello world",
    " Hello  world \n\n\t(normal) ",
    "Die Maschine läuft seit 1998, 24/7 - Störung? Nein!",
    "3333333333 = 3.14159",
    "for (int i = 0; i < n; ++i) {\n    sum += a[i];\n}",
    "Ceci n'est pas une pièce: \u20ac 5,00",
    "\u0417\u0434\u0440\u0430\u0432\u043e, \u4f60\u597d, \uc548\ub155",
    "\U0001f680 (normal) \U0001f636\u200d\U0001f32b\ufe0f",
)
# Its GELU is a table of f16.
_NEAR = 2e-2
_CONTEXT = {"gpt2": "n_positions"}


def source(folder: Path) -> Path:
    """Returns where llama.cpp lies in a folder that holds or is its source.

    Raises:
      ValueError: It is not there.
    """
    for place in (folder, folder / "vendor" / "llama.cpp"):
        if (place / "convert_hf_to_gguf.py").is_file():
            return place
    raise ValueError(
        f"{folder}: there is no convert_hf_to_gguf.py (--llama-cpp)"
    )


class LlamaCpp:
    """A random model with a tokenizer, and its files for llama.cpp."""

    def __init__(self, case: Case, home: Path, llama_cpp: Path):
        self._case = case
        self._home = home
        self._source = llama_cpp

    @functools.cached_property
    def _folder(self) -> Path:
        """The model as `eisbach export` writes it."""
        folder, output = self._home / "spoken", self._home / "exported"
        folder.mkdir()
        case = self._case
        file = self._source / "models" / f"ggml-vocab-{case.vocabulary}.gguf"
        rows = write_vocabulary(
            file,
            folder,
            case.vocabulary,
            space=not case.kind.startswith("gemma"),
        )
        context = _CONTEXT.get(case.kind, "max_position_embeddings")
        keys = {**case.keys, "vocab_size": rows, context: 64}
        write_random(folder, case.kind, **keys)
        export(folder, output)
        return output

    def gguf(self) -> None:
        """Writes a file by `eisbach export --format gguf`."""
        folder = self._folder
        try:
            export(folder, self._home / "own.gguf", format="gguf")
        except ValueError as error:
            raise Refused(str(error)) from None

    def converts(self) -> None:
        """Has llama.cpp convert what `eisbach export` writes."""
        done = subprocess.run(
            [
                sys.executable,
                str(self._source / "convert_hf_to_gguf.py"),
                str(self._folder),
                "--outtype",
                "f32",
                "--outfile",
                str(self._home / "theirs.gguf"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Apart(done.stderr.strip().splitlines()[-1])

    def own_file_answers(self) -> None:
        """Compares what llama.cpp says by our file."""
        self._compare(self._home / "own.gguf")

    def their_file_answers(self) -> None:
        """Compares what llama.cpp says by the file of its converter."""
        file = self._home / "theirs.gguf"
        if not self._case.otherwise:
            self._compare(file)
            return
        try:
            self._compare(file)
        except Apart:
            raise Refused(self._case.otherwise) from None
        raise Apart(f"it no longer does: {self._case.otherwise}")

    def _compare(self, file: Path) -> None:
        if not file.is_file():
            raise Absent
        answers = self._answers(file)
        said = answers["said"]
        for text, ids in zip(_TEXTS, answers["spelled"], strict=True):
            if (
                ids
                != self._tokenizer.encode(text, add_special_tokens=False).ids
            ):
                raise Apart(f"takes {text!r} for the tokens {ids}")
        tokens, likely = self._expected
        if [one["id"] for one in said] != tokens[: len(said)]:
            raise Apart(f"says {[one['id'] for one in said]}, not {tokens}")
        apart = max(
            abs(top["logprob"] - likely[at, top["id"]])
            for at, one in enumerate(said)
            for top in one["top_logprobs"]
        )
        if len(said) < _TOKENS // 2 or apart > _NEAR:
            raise Apart(f"{len(said)} tokens, logarithms {apart:.2g} apart")

    def _answers(self, file: Path) -> dict[str, Any]:
        asked = json.dumps(
            {"prompt": _PROMPT, "tokens": _TOKENS, "texts": _TEXTS}
        )
        done = subprocess.run(
            [
                sys.executable,
                str(Path(__file__).with_name("answering.py")),
                str(file),
            ],
            input=asked,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Apart(done.stderr.strip().splitlines()[-1])
        return json.loads(done.stdout.splitlines()[-1])

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_file(str(self._folder / "tokenizer.json"))

    @functools.cached_property
    def _expected(self) -> tuple[list[int], Any]:
        """Greedy tokens here, and logarithms of all probabilities at each."""
        engine, _ = loaded(self._folder)
        (made,) = _C.Decoder(engine).generate(
            [list(_PROMPT)], tokens=_TOKENS, temperature=0
        )
        ids = np.array([[*_PROMPT, *made.tokens]], np.int32)
        logits = engine.logits(_C.Tensor.from_numpy(ids, engine.device))
        rows = logits.numpy()[0, len(_PROMPT) - 1 : -1].astype(np.float64)
        rows -= rows.max(-1, keepdims=True)
        return made.tokens, rows - np.log(np.exp(rows).sum(-1, keepdims=True))


def answers() -> bool:
    """Whether llama.cpp can be asked."""
    return importlib.util.find_spec("xllamacpp") is not None
