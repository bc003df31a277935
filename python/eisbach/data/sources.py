"""Which token files a configuration names, and with what weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.data.rules import TokenFileInfo, common_rules, read_info
from eisbach.data.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from eisbach.config import Config
    from eisbach.config.data import SourceSection
    from eisbach.data.tokenizer import Tokenizer


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
        for key in ("train", "validation")
        for prefix, _ in _named(getattr(config.data, key))
    ]
    name = config.data.tokenizer
    plain = stored or load_tokenizer(name)
    for file, info in infos:
        if info and info.tokenizer != plain.digest:
            raise ValueError(
                f"{file}: not made by data.tokenizer={name}: give the "
                "tokenizer that made it, or prepare it again with "
                f"`eisbach data prepare --tokenizer {name}`"
            )
    if stored:
        own = TokenFileInfo(stored.digest, stored.vocab, 0, 0, 0, stored.rules)
        common_rules([("the data of the run", own), *infos])
        return stored
    rules = common_rules(infos)
    return load_tokenizer(name, rules=rules) if rules else plain


def _named(value: str | list[SourceSection]) -> list[tuple[str, float]]:
    """The prefixes and weights that a key names; `auto` names none."""
    if isinstance(value, str):
        return [] if value in ("auto", "none") else [(value, 1.0)]
    return [(source.path, source.weight) for source in value]


def mixture(config: Config, key: str, default: Path | None) -> Mixture | None:
    """Reads `data.train` or `data.validation`.

    Args:
      config: The configuration.
      key: `train` or `validation`.
      default: What `auto` stands for; None where there is nothing.

    Returns:
      The files, or None for `none`.

    Raises:
      ValueError: `auto` stands for nothing.
    """
    value = getattr(config.data, key)
    if value == "none":
        return None
    if value == "auto":
        if default is None:
            raise ValueError(
                f"auto is the standard library, but the other "
                "text is not: give a prefix, or `none` for no validation "
                f"(data.{key})"
            )
        named = [(str(default), 1.0)]
    else:
        named = _named(value)
    prefixes = [prefix for prefix, _ in named]
    weights = [weight for _, weight in named]
    infos = [read_info(prefix) for prefix in prefixes]
    return Mixture(prefixes, weights, _bytes_per_token(infos, weights))


def _bytes_per_token(
    infos: list[TokenFileInfo | None], weights: list[float]
) -> float | None:
    known = [info for info in infos if info]
    if len(known) < len(infos):
        return None
    shares = [info.bytes / info.tokens for info in known]
    total = sum(w * s for w, s in zip(weights, shares, strict=True))
    return total / sum(weights)
