"""From documents to token files in their places."""

from __future__ import annotations

import collections
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eisbach.data.corpus import Corpus, standard_library
from eisbach.data.documents import Document, Documents
from eisbach.data.encode import encode_documents
from eisbach.data.inputs import Inputs
from eisbach.data.named import text_error
from eisbach.data.rules import TokenFileInfo
from eisbach.data.splits import Split
from eisbach.data.token_files import (
    SUFFIXES,
    PlaceError,
    TokenFile,
    complete,
    file_of,
    placing,
)
from eisbach.data.tokenizer import Tokenizer
from eisbach.data.workers import default_processes

_FORMAT = 2
_LIBRARY = "Python's standard library"


@dataclass(frozen=True)
class Prepared:
    """What was written.

    Attributes:
      train: Prefix of the text for training, and what is known about it.
      validation: The same of the text held out; None for none.
      by_documents: Whether whole documents are held out.
      told: What else a user may want to know.
    """

    train: tuple[Path, TokenFileInfo]
    validation: tuple[Path, TokenFileInfo] | None = None
    by_documents: bool = True
    told: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """Yields what a user may want to know."""
        yield from self.told
        yield report(*self.train)
        if not self.validation:
            return
        yield report(*self.validation)
        train, held = self.train[1].tokens, self.validation[1].tokens
        share = f"{held / (train + held):.2%} of the tokens"
        if self.by_documents:
            yield f"held out: whole documents, {share}"
        else:
            yield f"held out: the last part of each document, {share}"
            yield "(too few or too unequal documents to hold whole ones out)"


def report(prefix: Path, info: TokenFileInfo) -> str:
    """Returns a line about a token file."""
    tokens = f"{info.tokens:,} tokens"
    if info.trained is not None:
        share = info.trained / max(1, info.tokens)
        tokens += f" ({info.trained:,} trained, {share:.1%})"
    return (
        f"{prefix}: {info.documents:,} documents, {tokens}, "
        f"{info.bytes:,} bytes"
    )


def output_prefix(
    output: Path, *, inputs: Inputs, share: float, replaces: bool
) -> Path:
    """Returns the prefix that `--output` means.

    Args:
      output: A prefix, or the `.bin` or `.idx` of one.
      inputs: What will be read.
      share: Of the text that is held out.
      replaces: Whether files may be replaced; never those that are read.

    Raises:
      ValueError: A file to write is there.
    """
    if output.suffix in (".bin", ".idx"):
        output = output.with_suffix("")
    if not output.name:
        raise ValueError(f"--output {output} is a folder: add a name to it")
    read = {os.path.realpath(file.path) for file in inputs.files}
    for prefix in (output, validation_prefix(output))[: 2 if share else 1]:
        for suffix in SUFFIXES:
            file = file_of(prefix, suffix)
            if os.path.realpath(file) in read:
                raise ValueError(
                    f"{file} is an input and would be replaced: take another "
                    "--output"
                )
            if file.exists() and not replaces:
                raise ValueError(
                    f"{file} exists; --force replaces it, another --output "
                    "keeps it"
                )
    return output


def validation_prefix(train: Path) -> Path:
    """Returns the prefix of the text that is held out from another."""
    return train.with_name(f"{train.name}-validation")


def prepare(
    prefix: Path,
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    *,
    name: str = "",
    share: float = 0.0,
    source: Sequence[str] = (),
    encodings: dict[str, int] | None = None,
    processes: int = 1,
    progress: Callable[[], None] = lambda: None,
    note: Callable[[str], None] = lambda line: None,
) -> Prepared:
    """Writes token files; all of them appear at the end, or none.

    Args:
      prefix: Path without suffix; its folder is made.
      documents: The text, gone through once.
      tokenizer: Makes the tokens.
      name: What an error calls the text; empty takes the prefix.
      share: Of the text to hold out, in PREFIX-validation.
      source: Names of where the text is from, to remember.
      encodings: Is filled while documents are read; to remember.
      processes: How many make tokens.
      progress: Is called now and then.
      note: Is told what a user may want to know.

    Raises:
      PlaceError: The folder cannot be written.
      ValueError: There is no token to write, or a document cannot be read.
      OSError: A file cannot be written.
    """
    targets = {"train": prefix}
    if share:
        targets["validation"] = validation_prefix(prefix)
    with placing(**targets) as place:
        split = Split(place.folder, tokenizer, share)
        _write(split, documents, tokenizer, processes, progress, note)
        try:
            files = split.finish()
        except ValueError as error:
            raise ValueError(f"{name or prefix}: {error}") from None
        infos = [file.close(source, encodings) for file in files]
        place.targets = {
            file.prefix.name: target
            for file, target in zip(files, targets.values(), strict=True)
        }
        place.place()
    written = list(zip(targets.values(), infos, strict=True))
    return Prepared(*written, by_documents=split.by_documents)


class _Counted:
    """Passes the pieces of a document on and counts their bytes."""

    def __init__(self, pieces: Iterable[str], file: TokenFile):
        self.file = file
        self.bytes = 0
        self._pieces = pieces

    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces:
            self.bytes += len(piece.encode())
            yield piece


def _write(
    split: Split,
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    processes: int,
    progress: Callable[[], None],
    note: Callable[[str], None],
) -> None:
    # Documents are read some way ahead of their tokens.
    ahead: collections.deque[_Counted] = collections.deque()

    def texts() -> Iterator[_Counted]:
        for document in documents:
            ahead.append(_Counted(document.pieces, split.file(document.key)))
            yield ahead[-1]

    for tokens, ends in encode_documents(
        tokenizer, texts(), processes=processes, note=note
    ):
        now = ahead[0]
        now.file.append(tokens)
        if ends:
            ahead.popleft()
            split.end(now.file, now.bytes)
        progress()


def write_token_file(
    prefix: Path, texts: Iterable[bytes], tokenizer: Tokenizer
) -> TokenFileInfo:
    """Writes PREFIX.bin, PREFIX.idx and PREFIX.json of texts in memory.

    Args:
      prefix: Path without suffix; its folder is made.
      texts: The documents, in UTF-8.
      tokenizer: Makes the tokens.

    Raises:
      ValueError: There is no token to write.
      OSError: The folder or a file cannot be written.
    """
    documents = (
        Document(str(number), (text.decode(),))
        for number, text in enumerate(texts)
    )
    return prepare(prefix, documents, tokenizer).train[1]


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
        if not complete(prefix):
            with kept_there():
                prepare(
                    prefix,
                    Documents(files, kind="text"),
                    tokenizer,
                    name=_LIBRARY,
                    source=[_LIBRARY],
                )
    return prefixes


@contextlib.contextmanager
def kept_there() -> Iterator[None]:
    """Says where a run keeps what it prepares, if that cannot be written."""
    try:
        yield
    except PlaceError as error:
        raise PlaceError(
            f"{error}; what a run prepares is kept there: let XDG_CACHE_HOME "
            "name a folder that can be written"
        ) from None


def prepare_text(
    path: Path,
    tokenizer: Tokenizer,
    *,
    key: str,
    share: float = 0.0,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Path, Path | None]:
    """Prepares a text or a folder of texts, or finds it prepared.

    Args:
      path: The text.
      tokenizer: Makes the tokens.
      key: Of the configuration that names it, for messages.
      share: Of the text to hold out.
      folder: Where to keep it; None takes `cache_folder()`.
      say: Is told of what is done.

    Returns:
      The prefixes for training and, for a share, for validation.

    Raises:
      ValueError: It cannot be prepared.
    """
    try:
        documents = Documents([path])
        name = f"text-{_FORMAT}-{documents.digest()}-{tokenizer.key[:12]}"
        home = (folder or cache_folder()) / f"{name}-{share:g}"
        train = home / "train"
        prefixes = train, validation_prefix(train) if share else None
        if all(map(complete, filter(None, prefixes))):
            return prefixes
        for line in documents.inputs.notes:
            say(line)
        with kept_there():
            done = prepare(
                train,
                documents,
                tokenizer,
                name=str(path),
                share=share,
                source=[path.name],
                encodings=documents.reading.encodings,
                processes=default_processes(),
                note=say,
            )
    except PlaceError:
        raise
    except ValueError as error:
        raise text_error(error, key) from None
    for line in done.lines():
        say(line)
    return prefixes
