"""Which token files a configuration names, and with what weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.data.prepare import TokenFileInfo, read_info

if TYPE_CHECKING:
    from eisbach.config import Config
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


def mixture(
    config: Config, key: str, tokenizer: Tokenizer, default: Path | None
) -> Mixture | None:
    """Reads `data.train` or `data.validation`.

    Args:
      config: The configuration.
      key: `train` or `validation`.
      tokenizer: The one of the run; the files must be made by it.
      default: What `auto` stands for; None where there is nothing.

    Returns:
      The files, or None for `none`.

    Raises:
      ValueError: A file was made by another tokenizer, or `auto` stands for
        nothing.
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
        prefixes, weights = [str(default)], [1.0]
    elif isinstance(value, str):
        prefixes, weights = [value], [1.0]
    else:
        prefixes = [source.path for source in value]
        weights = [source.weight for source in value]
    infos = [read_info(prefix) for prefix in prefixes]
    for prefix, info in zip(prefixes, infos, strict=True):
        if info and info.tokenizer != tokenizer.digest:
            raise ValueError(
                f"{prefix} was not made by data.tokenizer="
                f"{config.data.tokenizer}: prepare it again with "
                f"`eisbach data prepare --tokenizer` (data.{key})"
            )
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
