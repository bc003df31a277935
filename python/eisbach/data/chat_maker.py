"""From conversations to tokens with masks: what several processes do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eisbach.data.chat_template import TemplateRefuses
from eisbach.data.chunks import CHUNK
from eisbach.data.conversations import AnswerPair, Conversation
from eisbach.data.masks import encode_marked
from eisbach.data.spans import Marked, Marker

if TYPE_CHECKING:
    from eisbach.data.masks import Masked
    from eisbach.data.tokenizer import Tokenizer

    # A conversation with its name.
    Named = tuple[str, Conversation | AnswerPair]

# What a turn costs beside its text, in characters.
_TURN = 256


@dataclass
class Made:
    """What became of a conversation.

    Attributes:
      documents: Ids and mask of each of which something is trained, and how
        many bytes its text has.
      cut: How many documents were longer than they may be.
      refused: Why the template refuses it; None where it does not.
    """

    documents: list[tuple[Masked, int]] = field(default_factory=list)
    cut: int = 0
    refused: str | None = None


class ChatMaker:
    """Writes conversations by a template and makes tokens; is sent about."""

    def __init__(
        self, tokenizer: Tokenizer, marker: Marker, max_tokens: int | None
    ):
        """Takes what it works with.

        Args:
          tokenizer: Of `chat_tokenizer`.
          marker: Writes conversations and marks what is trained.
          max_tokens: Of a document; None: any number.
        """
        self._tokenizer = tokenizer
        self._marker = marker
        self._most = max_tokens

    def __call__(self, group: list[Named]) -> list[Made]:
        """Returns what becomes of each."""
        made, flat, whose = [], [], []
        for _, conversation in group:
            made.append(Made())
            try:
                documents = self._written(conversation)
            except TemplateRefuses as error:
                made[-1].refused = str(error)
                continue
            flat += documents
            whose += [made[-1]] * len(documents)
        found = encode_marked(self._tokenizer, flat) if flat else []
        for one, document, (ids, mask) in zip(whose, flat, found, strict=True):
            if self._most is not None and len(ids) > self._most:
                one.cut += 1
                ids, mask = ids[: self._most], mask[: self._most]
            # Nothing is before the first token, that could tell it.
            if mask[1:].any():
                one.documents.append(((ids, mask), len(document.text.encode())))
        return made

    def _written(self, found: Conversation | AnswerPair) -> list[Marked]:
        if isinstance(found, Conversation):
            return self._marker.documents(found)
        return [
            self._answer("chosen", found.chosen),
            self._answer("rejected", found.rejected),
        ]

    def _answer(self, name: str, conversation: Conversation) -> Marked:
        documents = self._marker.documents(conversation)
        if len(documents) > 1:
            raise TemplateRefuses(
                f"{name}: the template writes a turn of the answer in another "
                "way once more turns follow"
            )
        return documents[0]


def grouped(
    stream: Iterable[Named], *, size: int = CHUNK
) -> Iterator[list[Named]]:
    """Groups conversations so that each group is about as much work."""
    group: list[Named] = []
    total = 0
    for one in stream:
        group.append(one)
        total += _length(one[1])
        if total >= size:
            yield group
            group, total = [], 0
    if group:
        yield group


def _length(found: Conversation | AnswerPair) -> int:
    if isinstance(found, AnswerPair):
        return _length(found.chosen) + _length(found.rejected)
    turns = sum(len(m["content"]) + _TURN for m in found.messages)
    return turns + len(found.prompt) + len(found.completion) + _TURN
