"""Keeps in a run's folder what came with the model that it began with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.data.new_tokens import LISTING
from eisbach.data.rules import stored_tokenizer
from eisbach.data.tokenizer import BYTES
from eisbach.export.carried import (
    CONFIG,
    OF_MODEL,
    Carried,
    read_carried,
    write_carried,
)
from eisbach.export.source import fits_folder
from eisbach.export.start import folder_of
from eisbach.files import read_regular

if TYPE_CHECKING:
    from eisbach.config import Config
    from eisbach.data.tokenizer import Tokenizer
    from eisbach.run.folder import RunFolder


def keep_carried(
    folder: RunFolder,
    config: Config,
    tokenizer: Tokenizer,
    parent: RunFolder | None,
) -> None:
    """Copies into a new run's folder what goes along with its model.

    That is what its parent has; else what the folder `model.from` has; else,
    of a tokenizer that is named by its file, what lies beside it. What the
    run's tokenizer needs is kept with that (`store_tokenizer`), and not twice.

    Raises:
      ValueError: A file is damaged.
    """
    of_tokenizer = None
    if parent:
        source, of_tokenizer = parent.base, parent.tokenizer
        own = stored_tokenizer(parent.tokenizer)
    elif source := folder_of(config):
        own = None
        if fits_folder(tokenizer, source, config.model):
            own = tokenizer
    elif config.data.tokenizer != BYTES:
        file = Path(config.data.tokenizer)
        source, own = file if file.is_dir() else file.parent, tokenizer
    else:
        return
    found = read_carried(source, tokenizer=of_tokenizer)
    of_model = parent or folder_of(config)
    same = own is not None and own.digest == tokenizer.digest
    files = {
        name: content
        for name, content in found.files.items()
        if name not in tokenizer.beside
        and (of_model if name in OF_MODEL else same)
    }
    if of_model and found.described:
        files[CONFIG] = _described(source / CONFIG, found, same)
    if tokenizer.added:
        files |= _with_tokens(files, tokenizer)
    write_carried(folder.base, files)


def _with_tokens(
    files: dict[str, bytes], tokenizer: Tokenizer
) -> dict[str, bytes]:
    """Adds a tokenizer's new tokens to the files that list tokens."""
    listing = {name: files[name].decode() for name in LISTING if name in files}
    found = tokenizer.added.beside(listing, tokenizer.first_added)
    return {name: text.encode() for name, text in found.items()}


def _described(file: Path, found: Carried, same: bool) -> bytes:
    """A `config.json`, which knows no ids of another tokenizer."""
    if same:
        return read_regular(file)
    ids = found.ids()
    kept = {k: v for k, v in found.described.items() if k not in ids}
    return json.dumps(kept, indent=2).encode() + b"\n"
