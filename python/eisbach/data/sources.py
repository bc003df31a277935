"""Which token files a configuration names, and with what weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.data.corpus import VALIDATION_SHARE
from eisbach.data.named import (
    KEYS,
    Named,
    check_named,
    is_text,
    named,
    token_files,
)
from eisbach.data.new_tokens import NewTokens
from eisbach.data.rules import TokenFileInfo, common_rules, read_info
from eisbach.data.template_files import take_template
from eisbach.data.token_files import lacks_mask
from eisbach.data.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from eisbach.config import Config
    from eisbach.data.tokenizer import Tokenizer


@dataclass(frozen=True)
class Located:
    """Token files of a run, all of which are there.

    Attributes:
      train: Prefixes and weights.
      validation: The same; None for none.
    """

    train: list[Named]
    validation: list[Named] | None


@dataclass(frozen=True)
class Mixture:
    """Token files to draw samples from.

    Attributes:
      prefixes: Paths without suffix.
      weights: Share of the samples of each, relative to the others.
      bytes_per_token: Mean over the files by weight; None where a file
        does not tell.
    """

    prefixes: list[str]
    weights: list[float]
    bytes_per_token: float | None


def run_tokenizer(config: Config, stored: Tokenizer | None = None) -> Tokenizer:
    """Returns the tokenizer of a run, with the rules of its token files.

    What ends and begins a document is what the `.json` of the files says that
    `data.train` and `data.validation` name; where none says it, what the
    tokenizer says.

    Args:
      config: The configuration.
      stored: The tokenizer of a run that goes on, which the files must fit;
        None reads `data.tokenizer`.

    Raises:
      ValueError: The tokenizer cannot be read, two files disagree, or a file
        was made by another tokenizer.
    """
    infos = [
        (f"{prefix} (data.{key})", read_info(prefix))
        for key in KEYS
        for prefix, _ in token_files(config, key)
    ]
    name = config.data.tokenizer
    added = NewTokens.of(config.model)
    plain = stored or load_tokenizer(name, added=added)
    for file, info in infos:
        if info and info.tokenizer != plain.digest:
            raise ValueError(f"{file}: {_other_tokenizer(name, plain)}")
    if stored:
        own = TokenFileInfo(stored.digest, stored.vocab, 0, 0, 0, stored.rules)
        common_rules([("the data of the run", own), *infos])
        return stored
    rules = common_rules(infos)
    found = plain
    if rules:
        found = load_tokenizer(name, added=added, rules=rules)
    take_template(found, config.data.template)
    return found


def _other_tokenizer(name: str, tokenizer: Tokenizer) -> str:
    if tokenizer.added:
        return (
            f"not made by data.tokenizer={name} with model.add_tokens: name "
            "the text itself, which the run prepares, or prepare it with "
            "`eisbach data prepare --add-token` and `--add-special-token`"
        )
    return (
        f"not made by data.tokenizer={name}: give the tokenizer that made it, "
        "or prepare it again with `eisbach data prepare --tokenizer "
        f"{name}`"
    )


def locate(
    config: Config, tokenizer: Tokenizer, *, say: Callable[[str], None]
) -> Located:
    """Finds the token files of a run; prepares what is text.

    Args:
      config: The configuration.
      tokenizer: Of the run.
      say: Is told of what is prepared.

    Raises:
      ValueError: As `check_named`, or a text cannot be prepared.
    """
    from eisbach.data.chat_cache import check_chat_keys
    from eisbach.data.prepare import prepare_default

    check_named(config, tokenizer)
    check_chat_keys(config)
    wants_held = config.data.validation == "auto"
    found: list[tuple[str, str | None, float]] = []
    if config.data.train == "auto":
        train, held = map(str, prepare_default(tokenizer))
        found.append((train, held, 1.0))
    for path, weight in named(config, "train"):
        if is_text(path):
            share = VALIDATION_SHARE if wants_held else 0.0
            train, held = _prepared(
                config, path, tokenizer, share=share, key="train", say=say
            )
            found.append((str(train), held and str(held), weight))
        else:
            found.append((path, None, weight))
    return Located(
        [(train, weight) for train, _, weight in found],
        _validation(config, tokenizer, found, say),
    )


def _prepared(
    config: Config,
    path: str,
    tokenizer: Tokenizer,
    *,
    key: str,
    share: float = 0.0,
    say: Callable[[str], None],
) -> tuple[Path, Path | None]:
    """Prepares a text or conversations, or finds them prepared."""
    from eisbach.data.chat_cache import prepare_chat_file, shape_at
    from eisbach.data.chat_records import ChatOptions
    from eisbach.data.prepare import prepare_text

    shape = shape_at(config, path)
    if shape == "text":
        return prepare_text(
            Path(path), tokenizer, share=share, key=key, say=say
        )
    return prepare_chat_file(
        Path(path),
        tokenizer,
        options=ChatOptions.of(config.data, shape),
        share=share,
        key=key,
        say=say,
    )


def _validation(
    config: Config,
    tokenizer: Tokenizer,
    found: list[tuple[str, str | None, float]],
    say: Callable[[str], None],
) -> list[Named] | None:
    if config.data.validation == "none":
        return None
    if config.data.validation == "auto":
        return [(str(held), weight) for _, held, weight in found]
    files = []
    for path, weight in named(config, "validation"):
        if is_text(path):
            path = str(
                _prepared(config, path, tokenizer, key="validation", say=say)[0]
            )
        files.append((path, weight))
    return files


def documents_of(config: Config) -> str:
    """Returns how documents become rows, as `Corpus` takes it."""
    pairs = config.train.objective == "dpo"
    return "pairs" if pairs else config.data.documents


def mixture(config: Config, key: str, files: list[Named]) -> Mixture:
    """Describes the token files of `data.train` or `data.validation`.

    Args:
      config: With no `auto` for the vocabulary.
      key: `train` or `validation`.
      files: Prefixes and weights.

    Raises:
      ValueError: A file has tokens that the model does not know.
    """
    prefixes = [prefix for prefix, _ in files]
    weights = [weight for _, weight in files]
    infos = [read_info(prefix) for prefix in prefixes]
    for prefix, info in zip(prefixes, infos, strict=True):
        if lacks_mask(Path(prefix), info):
            raise ValueError(
                f"{prefix}: was prepared with a mask of what is trained, and "
                f"{prefix}.mask is not there: prepare it again (data.{key})"
            )
        _check_objective(config, key, prefix, info)
        if info and info.vocab > config.model.vocab:
            raise ValueError(
                f"model.vocab={config.model.vocab} is less than the "
                f"vocabulary of {info.vocab} that {prefix} was prepared with "
                f"(data.{key}): take model.vocab=auto, or at least {info.vocab}"
            )
    return Mixture(prefixes, weights, _bytes_per_token(infos, weights))


def _check_objective(
    config: Config, key: str, prefix: str, info: TokenFileInfo | None
) -> None:
    """Pairs are for one objective, and for no other."""
    if not (info and info.marked):
        return
    pairs = info.marked.shape == "preference"
    if pairs == (config.train.objective == "dpo"):
        return
    what = "pairs of answers" if pairs else "no pairs of answers"
    other = "dpo" if pairs else "next_token"
    raise ValueError(
        f"{prefix} holds {what} (data.{key}), and train.objective="
        f"{config.train.objective} learns from others; nearest that works: "
        f"train.objective={other}"
    )


def _bytes_per_token(
    infos: list[TokenFileInfo | None], weights: list[float]
) -> float | None:
    # Of marked ones a part of the text is predicted, and none knows which.
    known = [info for info in infos if info and info.trained is None]
    if len(known) < len(infos):
        return None
    shares = [info.bytes / info.tokens for info in known]
    total = sum(w * s for w, s in zip(weights, shares, strict=True))
    return total / sum(weights)
