"""The text of tokens as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eisbach.data.tokenizer import Tokenizer

_REPLACED = "\ufffd"
# A character has at most so many bytes, each of which may be a token.
_CHARACTER = 4
# Tokens before the new ones that decide on spaces between them.
_BEFORE = 8


class TextStream:
    """What follows a prompt, up to a stop string.

    A token may hold a part of a character, and a stop string may begin in one
    token and end in another: what `push` returns is final.

    Attributes:
      text: All that has been pushed and may be shown, and what is held back.
      stopped: Whether a stop string was found; the text ends before it.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        stops: Sequence[str] = (),
    ):
        """Begins behind a prompt.

        Args:
          tokenizer: Whose tokens they are.
          prompt: Token ids that come before the text.
          stops: Strings that end it.
        """
        self.text = ""
        self.stopped = False
        self._tokenizer = tokenizer
        self._stops = [stop for stop in stops if stop]
        self._before = list(prompt[-_BEFORE:])  # their text is known
        self._new: list[int] = []  # theirs is not
        self._shown = 0

    def push(self, token: int) -> str:
        """Takes a token; returns the text that is certain now, maybe none."""
        self._new.append(token)
        whole = self._tokenizer.decode([*self._before, *self._new])
        if whole.endswith(_REPLACED) and len(self._new) < _CHARACTER:
            return ""
        self._take(whole)
        return self._certain(len(self.text) - self._held())

    def end(self) -> str:
        """Returns what was held back, when no more tokens come."""
        if self._new and not self.stopped:
            self._take(self._tokenizer.decode([*self._before, *self._new]))
        return self._certain(len(self.text))

    def _take(self, whole: str) -> None:
        """Adds what follows the text of the tokens before."""
        before = self._tokenizer.decode(self._before) if self._before else ""
        pairs = enumerate(zip(before, whole, strict=False))
        same = next(
            (i for i, (a, b) in pairs if a != b), min(len(before), len(whole))
        )
        looked = len(self.text)
        self.text += whole[same:]
        self._before = [*self._before, *self._new][-_BEFORE:]
        self._new = []
        places = [
            at
            for stop in self._stops
            if (at := self.text.find(stop, max(0, looked - len(stop)))) >= 0
        ]
        if places:
            self.text = self.text[: min(places)]
            self.stopped = True

    def _held(self) -> int:
        """Characters at the end that may be the beginning of a stop string."""
        if self.stopped:
            return 0
        return max(
            (
                size
                for stop in self._stops
                for size in range(1, len(stop))
                if self.text.endswith(stop[:size])
            ),
            default=0,
        )

    def _certain(self, end: int) -> str:
        found = self.text[self._shown : end]
        self._shown = max(self._shown, end)
        return found
