"""Tokens that a run adds to a tokenizer: `model.add_tokens`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eisbach.config.rules import show

if TYPE_CHECKING:
    from eisbach.config.model import ModelSection

# Of the section `model`.
KEYS = ("add_tokens", "add_special_tokens", "first_added_token")
# A configuration that lists them, and their ids, can be read again.
MOST = 8192
_CONFIG = "tokenizer_config.json"
# Of slow tokenizers: token to id.
_ADDED = "added_tokens.json"
LISTING = (_CONFIG, _ADDED)


@dataclass(frozen=True)
class NewTokens:
    """Texts that become one token each.

    Their ids follow the last one of the tokenizer, in this order, as
    `add_tokens` and `add_special_tokens` of transformers give them.

    Attributes:
      plain: Tokens like others: their text is the token wherever it stands.
      special: Special tokens: in a plain text theirs stays text, as that of
        the tokenizer's own does.
    """

    plain: tuple[str, ...] = ()
    special: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: ModelSection) -> NewTokens:
        """Returns those that a configuration asks for."""
        return cls(tuple(model.add_tokens), tuple(model.add_special_tokens))

    def __len__(self) -> int:
        return len(self.plain) + len(self.special)

    def check(
        self,
        known: dict[str, int],
        name: str,
        *,
        spell: Callable[[str], str] = str,
    ) -> None:
        """Checks that a tokenizer can have them.

        Args:
          known: Its tokens and their ids.
          name: Of the tokenizer.
          spell: How it spells a text.

        Raises:
          ValueError: There are too many, one comes twice, or the tokenizer has
            one of them.
        """
        if len(self) > MOST:
            raise ValueError(
                "model.add_tokens and model.add_special_tokens are "
                f"{len(self)} tokens together, and there may be {MOST} "
                "(model.add_tokens)"
            )
        seen = set()
        for key, text in self._keys():
            if text in seen:
                raise ValueError(
                    f"{key}: {show(text)} comes twice: name it once"
                )
            seen.add(text)
            token = known.get(text, known.get(spell(text)))
            if token is not None:
                raise ValueError(
                    f"{key}: {show(text)} is a token of data.tokenizer={name} "
                    f"already, id {token}: leave it out"
                )

    def _keys(self) -> Iterator[tuple[str, str]]:
        for text in self.plain:
            yield "model.add_tokens", text
        for text in self.special:
            yield "model.add_special_tokens", text

    def described(self, first: int) -> dict[int, dict[str, Any]]:
        """Returns what files say of each, by id.

        Args:
          first: The first id.
        """
        found = {}
        for number, text in enumerate((*self.plain, *self.special)):
            special = number >= len(self.plain)
            found[first + number] = {
                "content": text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                # Whether it is looked for in the text that was normalised.
                "normalized": not special,
                "special": special,
            }
        return found

    def added_to(self, text: str, first: int) -> str:
        """Returns a `tokenizer.json` that has them, too."""
        described = json.loads(text)
        own = described.get("added_tokens") or []
        new = [{"id": i, **one} for i, one in self.described(first).items()]
        described["added_tokens"] = own + new
        return json.dumps(described, indent=2, ensure_ascii=False) + "\n"

    def beside(self, files: dict[str, str], first: int) -> dict[str, str]:
        """Returns the files beside a tokenizer's, of which some list tokens.

        Raises:
          ValueError: One of them is damaged.
        """
        files = dict(files)
        new = self.described(first)
        if _CONFIG in files:
            described = _object(files, _CONFIG)
            decoder = described.setdefault("added_tokens_decoder", {})
            decoder.update({str(i): one for i, one in new.items()})
            files[_CONFIG] = _spelled(described)
        if _ADDED in files:
            ids = _object(files, _ADDED)
            ids.update({one["content"]: i for i, one in new.items()})
            files[_ADDED] = _spelled(ids)
        return files


def token_ids(model: ModelSection) -> list[int]:
    """Returns the ids of the new tokens of a model that was completed."""
    count = len(NewTokens.of(model))
    return [model.first_added_token + i for i in range(count)]


def _object(files: dict[str, str], name: str) -> dict[str, Any]:
    try:
        found = json.loads(files[name])
    except ValueError as error:
        raise ValueError(f"{name} beside data.tokenizer: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{name} beside data.tokenizer: no JSON object")
    return found


def _spelled(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
