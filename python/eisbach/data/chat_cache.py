"""Conversations that a configuration names: prepared once and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.data.chat_records import (
    ChatOptions,
    chat_documents,
    detect_shape,
)
from eisbach.data.chats import (
    chat_tokenizer,
    check_chats,
    prepare_chats,
    template_for,
)
from eisbach.data.conversations import parse_columns
from eisbach.data.named import KEYS, is_text, named, text_error
from eisbach.data.prepare import cache_folder, kept_there, validation_prefix
from eisbach.data.token_files import PlaceError, complete
from eisbach.data.workers import default_processes

if TYPE_CHECKING:
    from eisbach.config import Config
    from eisbach.data.conversations import Shape
    from eisbach.data.tokenizer import Tokenizer

_FORMAT = 1
# Keys that are about conversations alone.
_ONLY = ("columns", "train_on", "max_tokens")


def shape_at(config: Config, path: str) -> Shape:
    """Tells the shape of what a path of `data.train` holds.

    Raises:
      ValueError: A field is renamed that no record of the shape has.
    """
    section = config.data
    shape = section.shape
    if config.train.objective == "dpo":
        if shape not in ("auto", "preference"):
            raise ValueError(
                f"data.shape={shape} holds no pairs of answers, which "
                "train.objective=dpo learns from; nearest that works: "
                "data.shape=preference"
            )
        return "preference"
    if shape == "auto":
        shape = detect_shape([Path(path)], parse_columns(section.columns))
    return shape


def check_chat_keys(config: Config) -> None:
    """Checks that no key is set which nothing that is prepared asks for.

    Raises:
      ValueError: One is.
    """
    defaults = type(config.data)()
    given = [
        name
        for name in _ONLY
        if getattr(config.data, name) != getattr(defaults, name)
    ]
    texts = [
        path for key in KEYS for path, _ in named(config, key) if is_text(path)
    ]
    if config.data.shape not in ("auto", "text"):
        given.append("shape")
    if not given:
        return
    shapes = {shape_at(config, path) for path in texts}
    if shapes == {"preference"} and "train_on" in given:
        if config.data.train_on != "completion":
            raise ValueError(
                f"data.train_on={config.data.train_on}: of a pair the answers "
                "are trained, and nothing else; nearest that works: "
                "data.train_on=completion"
            )
        return
    if shapes - {"text"}:
        return
    if texts:
        raise ValueError(
            f"data.{given[0]} is about conversations, and {texts[0]} is taken "
            "for texts, by the fields of its first record: data.columns names "
            "the field of the messages, as in data.columns=[messages=dialog], "
            "and data.shape what records hold"
        )
    raise ValueError(
        f"data.{given[0]} is about conversations, and neither data.train nor "
        "data.validation names a file of such: token files were marked when "
        "they were prepared, so leave it out"
    )


def check_conversations(config: Config, tokenizer: Tokenizer) -> None:
    """Checks conversations that are named as far as the first that is trained.

    Args:
      config: The configuration.
      tokenizer: Of the run.

    Raises:
      ValueError: As `check_chat_keys`; or there is no template, or nothing to
        train.
    """
    check_chat_keys(config)
    for key in KEYS:
        for path, _ in named(config, key):
            if not is_text(path) or shape_at(config, path) == "text":
                continue
            options = ChatOptions.of(config.data, shape_at(config, path))
            try:
                check_chats(
                    chat_documents([Path(path)], options),
                    chat_tokenizer(tokenizer),
                    options=options,
                    template=template_for(options, tokenizer),
                    name=path,
                )
            except ValueError as error:
                raise text_error(error, key) from None


def prepare_chat_file(
    path: Path,
    tokenizer: Tokenizer,
    *,
    options: ChatOptions,
    key: str,
    share: float = 0.0,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Path, Path | None]:
    """Prepares a file or folder of conversations, or finds it prepared.

    Args:
      path: Where they are.
      tokenizer: Of the run.
      options: How they become documents.
      key: Of the configuration that names it, for messages.
      share: Of the conversations to hold out.
      folder: Where to keep it; None takes `cache_folder()`.
      say: Is told of what is done.

    Returns:
      The prefixes for training and, for a share, for validation.

    Raises:
      ValueError: It cannot be prepared.
    """
    try:
        documents = chat_documents([path], options)
        template = template_for(options, tokenizer)
        made_by = chat_tokenizer(tokenizer)
        facts = {
            **asdict(options),
            "template": template and template.digest,
            "tokenizer": made_by.key,
            "share": share,
            "files": documents.digest(),
        }
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        name = f"chat-{_FORMAT}-{digest.hexdigest()[:24]}"
        train = (folder or cache_folder()) / name / "train"
        prefixes = train, validation_prefix(train) if share else None
        if all(map(complete, filter(None, prefixes))):
            return prefixes
        for line in documents.inputs.notes:
            say(line)
        with kept_there():
            done = prepare_chats(
                train,
                documents,
                made_by,
                options=options,
                template=template,
                name=str(path),
                share=share,
                source=[path.name],
                processes=default_processes(),
            )
    except PlaceError:
        raise
    except ValueError as error:
        raise text_error(error, key) from None
    for line in done.lines():
        say(line)
    return prefixes
