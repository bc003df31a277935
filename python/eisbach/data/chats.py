"""From conversations to token files with masks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.data.chat_records import ChatOptions, Conversations, LeftOut
from eisbach.data.chat_template import ChatTemplate, TemplateRefuses
from eisbach.data.chunks import CHUNK
from eisbach.data.conversations import AnswerPair, Conversation
from eisbach.data.held_out import HeldOut
from eisbach.data.masks import encode_marked
from eisbach.data.prepare import Prepared, validation_prefix
from eisbach.data.rules import Marking
from eisbach.data.spans import Marked, Marker
from eisbach.data.template_files import default_template, template_of
from eisbach.data.token_files import placing
from eisbach.data.tokenizer import Tokenizer

if TYPE_CHECKING:
    from eisbach.data.documents import Documents


def chat_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """Returns the tokenizer as templates need it.

    The names of special tokens in a rendered text are these tokens.
    """
    if tokenizer.source_text is None:
        return tokenizer
    rules = replace(tokenizer.rules, special_tokens="tokens")
    return copy.deepcopy(tokenizer).with_rules(rules)


@dataclass
class Tally:
    """What became of conversations.

    Attributes:
      kept: Conversations that are trained.
      several: Of these, those that became more than one document.
      cut: Documents that were longer than `max_tokens`.
      refused: Conversations that the template refuses.
      untrained: Conversations of which nothing is left to train, and pairs of
        which one answer has nothing left.
    """

    kept: int = 0
    several: int = 0
    cut: int = 0
    refused: LeftOut = field(default_factory=LeftOut)
    untrained: LeftOut = field(default_factory=LeftOut)


class _Preparation:
    def __init__(
        self,
        out: HeldOut,
        tokenizer: Tokenizer,
        marker: Marker,
        options: ChatOptions,
    ):
        self.tally = Tally()
        self._pairs = options.shape == "preference"
        self._out = out
        self._tokenizer = tokenizer
        self._marker = marker
        self._most = options.max_tokens
        self._held: list[tuple[str, list[Marked]]] = []
        self._length = 0

    def add(self, key: str, found: Conversation | AnswerPair) -> None:
        try:
            if isinstance(found, AnswerPair):
                documents = [
                    self._answer("chosen", found.chosen),
                    self._answer("rejected", found.rejected),
                ]
            else:
                documents = self._marker.documents(found)
        except TemplateRefuses as error:
            self.tally.refused.add(f"{key}: {error}")
            return
        self._held.append((key, documents))
        self._length += sum(len(d.text) for d in documents)
        if self._length >= CHUNK:
            self.flush()

    def _answer(self, name: str, conversation: Conversation) -> Marked:
        documents = self._marker.documents(conversation)
        if len(documents) > 1:
            raise TemplateRefuses(
                f"{name}: the template writes a turn of the answer in another "
                "way once more turns follow"
            )
        return documents[0]

    def flush(self) -> None:
        """Makes tokens of what is held."""
        flat = [d for _, documents in self._held for d in documents]
        found = iter(encode_marked(self._tokenizer, flat)) if flat else iter(())
        for key, documents in self._held:
            trained = []
            for document in documents:
                ids, mask = next(found)
                if self._most is not None and len(ids) > self._most:
                    self.tally.cut += 1
                    ids, mask = ids[: self._most], mask[: self._most]
                # Nothing is before the first token, that could tell it.
                if mask[1:].any():
                    size = len(document.text.encode())
                    trained.append((ids, mask, size))
            if len(trained) < (2 if self._pairs else 1):
                self.tally.untrained.add(key)
                continue
            for document in trained:
                self._out.add(key, *document)
            self.tally.kept += 1
            self.tally.several += len(trained) > 1 and not self._pairs
        self._held.clear()
        self._length = 0


def template_for(
    options: ChatOptions, tokenizer: Tokenizer
) -> ChatTemplate | None:
    """Returns the template; None where pairs of texts may have none.

    Raises:
      ValueError: There is none, or it is damaged.
    """
    if (
        options.shape in ("completion", "preference")
        and default_template(tokenizer) is None
    ):
        return None
    return template_of(tokenizer)


def prepare_chats(
    prefix: Path,
    documents: Documents,
    tokenizer: Tokenizer,
    *,
    options: ChatOptions,
    template: ChatTemplate | None,
    name: str = "",
    share: float = 0.0,
    source: Sequence[str] = (),
    progress: Callable[[], None] = lambda: None,
) -> Prepared:
    """Writes token files with masks; all of them appear at the end, or none.

    Args:
      prefix: Path without suffix; its folder is made.
      documents: Of `chat_documents`, gone through once.
      tokenizer: Of `chat_tokenizer`.
      options: How conversations become documents.
      template: Writes them.
      name: What an error calls the conversations.
      share: Of them to hold out, in PREFIX-validation.
      source: Names of where they are from, to remember.
      progress: Is called now and then.

    Raises:
      PlaceError: The folder cannot be written.
      ValueError: Nothing is left to train.
      OSError: A file cannot be written.
    """
    name = name or str(prefix)
    targets = {"train": prefix}
    if share:
        targets["validation"] = validation_prefix(prefix)
    marker = Marker(
        template, options.trains, getattr(tokenizer, "special_names", ())
    )
    with placing(**targets) as place:
        out = HeldOut(place.folder, tokenizer, share)
        work = _Preparation(out, tokenizer, marker, options)
        for key, conversation in documents.items():
            work.add(key, conversation)
            progress()
        work.flush()
        left = list(_left_out(documents, work.tally))
        thing = "pair" if options.shape == "preference" else "conversation"
        if not work.tally.kept:
            why = "\n".join(left) or "it is empty"
            raise ValueError(f"{name}: no {thing} to train on: {why}")
        try:
            files = out.finish()
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        marking = Marking(
            options.shape, template.digest if template else "", options.trains
        )
        encodings = documents.reading.encodings
        infos = [file.close(source, encodings, marking) for file in files]
        place.targets = {
            file.prefix.name: target
            for file, target in zip(files, targets.values(), strict=True)
        }
        place.place()
    written = list(zip(targets.values(), infos, strict=True))
    return Prepared(*written, told=(*_kept(work.tally, thing), *left))


def _kept(tally: Tally, thing: str) -> Iterator[str]:
    yield f"kept {tally.kept:,} {thing}s"
    if tally.several:
        yield (
            f"{tally.several:,} of them became several documents, as the "
            "template writes earlier turns in another way"
        )
    if tally.cut:
        yield f"cut {tally.cut:,} documents that were longer than max_tokens"


def _left_out(documents: Documents, tally: Tally) -> Iterator[str]:
    records = documents.records
    if isinstance(records, Conversations):
        yield from records.bad_records.lines("records that are none")
    yield from tally.refused.lines("conversations that the template refuses")
    yield from tally.untrained.lines("conversations with nothing to train")
