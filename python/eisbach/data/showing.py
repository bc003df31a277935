"""Documents of token files as text, with what is trained marked."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.data.rules import read_info
from eisbach.data.sources import locate
from eisbach.data.tokenizer import BYTES, Tokenizer, load_tokenizer

if TYPE_CHECKING:
    from eisbach import _C

_GREEN, _DIM, _RESET = "\x1b[32m", "\x1b[2m", "\x1b[0m"
_BEGIN, _END = ">>", "<<"
# Of a document; more is told, not shown.
_MOST_TOKENS = 2048
# What a terminal may take for a command; lines and tabs are none.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def token_files_of(
    path: Path, tokenizer: str | None
) -> tuple[list[Path], Tokenizer]:
    """Returns the token files that a run trains on, or the one of a prefix.

    Args:
      path: Folder of a run, or a prefix; the end `.bin` or `.idx` may be there.
      tokenizer: Made them; None takes that of the run, and bytes for a file
        that was made of bytes.

    Raises:
      ValueError: There is no such file, or nobody knows its tokenizer.
    """
    if (path / "config.yaml").is_file():
        return _of_run(path, tokenizer)
    if path.suffix in (".bin", ".idx", ".mask", ".json"):
        path = path.with_suffix("")
    if not Path(f"{path}.idx").is_file():
        raise ValueError(
            f"{path}: neither the folder of a run nor the prefix of a token "
            "file"
        )
    info = read_info(path)
    if tokenizer is None:
        if info is None or info.tokenizer != BYTES:
            raise ValueError(
                f"{path}: give the tokenizer that made it (--tokenizer)"
            )
        tokenizer = BYTES
    made_by = load_tokenizer(tokenizer)
    if info and info.tokenizer != made_by.digest:
        raise ValueError(
            f"{path}: was made by another tokenizer than {tokenizer} "
            "(--tokenizer)"
        )
    return [path], made_by


def _of_run(path: Path, tokenizer: str | None) -> tuple[list[Path], Tokenizer]:
    from eisbach.config import load_config
    from eisbach.core_config import complete
    from eisbach.data.rules import stored_tokenizer
    from eisbach.run.folder import RunFolder

    run = RunFolder(path)
    if tokenizer is not None:
        raise ValueError(
            f"{path}: a run has its own tokenizer: leave --tokenizer out"
        )
    config = complete(load_config(run.config))
    made_by = stored_tokenizer(run.tokenizer)
    if made_by is None:
        raise ValueError(f"{run.tokenizer}: has no tokenizer of the run")
    found = locate(config, made_by, say=print)
    return [Path(prefix) for prefix, _ in found.train], made_by


def shown(
    prefix: Path, tokenizer: Tokenizer, *, samples: int, colored: bool
) -> Iterator[str]:
    """Yields documents as text.

    Args:
      prefix: Of a token file.
      tokenizer: That made it.
      samples: How many documents, spread evenly over the file.
      colored: Trained text is green and the other dim; else trained text
        stands between signs.
    """
    from eisbach import _C

    file = _C.TokenFile(prefix)
    count = len(file)
    chosen = (
        sorted({i * count // samples for i in range(samples)}) if count else []
    )
    share = file.trained / max(1, file.tokens)
    yield (
        f"{prefix}: {count:,} documents, {file.tokens:,} tokens, "
        f"{file.trained:,} of them trained ({share:.1%})"
    )
    for document in chosen:
        yield from _document(file, document, tokenizer, colored)


def _document(
    file: _C.TokenFile, document: int, tokenizer: Tokenizer, colored: bool
) -> Iterator[str]:
    length = file.document_length(document)
    mask = file.mask(document)
    yield (
        f"--- document {document:,}: {length:,} tokens, {int(mask.sum()):,} "
        "trained"
    )
    most = min(length, _MOST_TOKENS)
    tokens = file.read(document, 0, most).tolist()
    pieces = []
    pairs = zip(mask[:most].tolist(), tokens, strict=True)
    for trained, group in itertools.groupby(pairs, lambda pair: pair[0]):
        text = tokenizer.decode([token for _, token in group])
        pieces.append(_marked(_printable(text), bool(trained), colored))
    yield "".join(pieces)
    if length > most:
        yield f"... and {length - most:,} more tokens"


def _printable(text: str) -> str:
    """Spells control characters, so that a terminal does not obey them."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _marked(text: str, trained: bool, colored: bool) -> str:
    if colored:
        return f"{_GREEN if trained else _DIM}{text}{_RESET}"
    return f"{_BEGIN}{text}{_END}" if trained else text
