"""Writes token files (`.bin` / `.idx`, and `.json` about them)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from eisbach.data.corpus import Corpus, standard_library
from eisbach.data.rules import TokenFileInfo
from eisbach.data.tokenizer import Tokenizer

_FORMAT = 2
SUFFIXES = (".bin", ".idx", ".json")


def write_token_file(
    prefix: Path, texts: Iterable[bytes], tokenizer: Tokenizer
) -> TokenFileInfo:
    """Writes PREFIX.bin, PREFIX.idx and PREFIX.json.

    Nothing of it is seen under its name before all of it is on disk.

    Args:
      prefix: Path without suffix; its folder is made.
      texts: The documents.
      tokenizer: Makes the tokens; its end of document follows each one.

    Raises:
      ValueError: There is no token to write.
      OSError: The folder or a file cannot be written.
    """
    from eisbach import _C

    prefix.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".prepare-", dir=prefix.parent))
    try:
        dtype = (
            "u8"
            if tokenizer.vocab <= 2**8
            else ("u16" if tokenizer.vocab <= 2**16 else "i32")
        )
        begin, end = tokenizer.begin_of_document, tokenizer.end_of_document
        writer = _C.TokenFileWriter(
            str(scratch / "tokens"), dtype=dtype, end_of_document=end
        )
        counter = _Counter(texts)
        begin_ = np.asarray(begin, dtype=np.int32)
        for text in counter:
            found = tokenizer.encode(text)
            if found.size or end is not None:
                writer.add_document(np.concatenate([begin_, found]))
        if writer.tokens == 0:
            raise ValueError(f"{prefix}: no text, so no token to write")
        writer.close()
        info = TokenFileInfo(
            tokenizer.digest,
            tokenizer.vocab,
            writer.documents,
            writer.tokens,
            counter.bytes,
            tokenizer.rules,
        )
        (scratch / "tokens.json").write_text(info.as_json())
        # The index goes last: a reader that finds it finds all.
        for suffix in (".json", ".bin", ".idx"):
            os.replace(scratch / f"tokens{suffix}", f"{prefix}{suffix}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return info


class _Counter:
    """Passes texts on and counts their bytes."""

    def __init__(self, texts: Iterable[bytes]):
        self.texts = texts
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for text in self.texts:
            self.bytes += len(text)
            yield text


def cache_folder() -> Path:
    """Returns where prepared data is kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "eisbach"


def prepare_default(
    tokenizer: Tokenizer,
    *,
    folder: Path | None = None,
    corpus: Corpus | None = None,
) -> tuple[Path, Path]:
    """Prepares the standard library, or finds it prepared.

    Args:
      tokenizer: Makes the tokens.
      folder: Where to keep it; None takes `cache_folder()`.
      corpus: What to prepare; None takes this Python's standard library.

    Returns:
      The prefixes for training and for validation.
    """
    corpus = corpus or standard_library()
    name = f"stdlib-{_FORMAT}-{corpus.digest[:12]}-{tokenizer.key[:12]}"
    home = (folder or cache_folder()) / name
    prefixes = home / "train", home / "validation"
    for prefix, files in zip(
        prefixes, (corpus.train, corpus.validation), strict=True
    ):
        if not all(Path(f"{prefix}{s}").exists() for s in SUFFIXES):
            texts = (file.read_bytes() for file in files)
            write_token_file(prefix, texts, tokenizer)
    return prefixes
