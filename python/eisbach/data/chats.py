"""From conversations to token files with masks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.data.chat_maker import ChatMaker, Made, grouped
from eisbach.data.chat_records import ChatOptions, Conversations, LeftOut
from eisbach.data.chat_template import ChatTemplate
from eisbach.data.held_out import HeldOut
from eisbach.data.prepare import Prepared, validation_prefix
from eisbach.data.rules import Marking
from eisbach.data.spans import Marker
from eisbach.data.template_files import default_template, template_of
from eisbach.data.token_files import placing
from eisbach.data.tokenizer import Tokenizer
from eisbach.data.workers import Workers

if TYPE_CHECKING:
    from eisbach.data.chat_maker import Named
    from eisbach.data.documents import Documents


def turn_ends(tokenizer: Tokenizer) -> list[int]:
    """Returns the tokens that end turns of the template beside a tokenizer.

    None where there is no template, or its ends are no single tokens.
    """
    if default_template(tokenizer) is None:
        return []
    spoken = chat_tokenizer(tokenizer)
    every = (
        spoken.encode(text.encode()).tolist()
        for text in template_of(spoken).ends
    )
    return [ids[0] for ids in every if len(ids) == 1]


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

    def keeps(self, key: str, made: Made, *, pairs: bool) -> bool:
        """Counts a conversation; returns whether it is trained.

        Args:
          key: Its name.
          made: What became of it.
          pairs: Whether it is a pair of answers.
        """
        if made.refused is not None:
            self.refused.add(f"{key}: {made.refused}")
            return False
        self.cut += made.cut
        if len(made.documents) < (2 if pairs else 1):
            self.untrained.add(key)
            return False
        self.kept += 1
        self.several += len(made.documents) > 1 and not pairs
        return True


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
    processes: int = 1,
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
      processes: How many make tokens; the files do not depend on it.
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
    pairs = options.shape == "preference"
    with placing(**targets) as place:
        out, tally = HeldOut(place.folder, tokenizer, share), Tally()
        maker = _maker(tokenizer, options, template)
        with Workers(maker, processes) as workers:
            groups = grouped(_shown(documents.items(), progress))
            for (key, _), made in workers.done(groups):
                if tally.keeps(key, made, pairs=pairs):
                    for (ids, mask), size in made.documents:
                        out.add(key, ids, mask, size)
        if not tally.kept:
            raise _none(name, documents, tally, pairs=pairs)
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
    told = (*_kept(tally, _thing(pairs=pairs)), *_left_out(documents, tally))
    return Prepared(*written, told=told)


def check_chats(
    documents: Documents,
    tokenizer: Tokenizer,
    *,
    options: ChatOptions,
    template: ChatTemplate | None,
    name: str,
) -> None:
    """Checks that there is something to train; reads no farther than that.

    Args:
      documents: Of `chat_documents`, gone through once.
      tokenizer: Of `chat_tokenizer`.
      options: How conversations become documents.
      template: Writes them.
      name: What an error calls the conversations.

    Raises:
      ValueError: There is nothing to train.
    """
    maker, tally = _maker(tokenizer, options, template), Tally()
    pairs = options.shape == "preference"
    for item in documents.items():
        (made,) = maker([item])
        if tally.keeps(item[0], made, pairs=pairs):
            return
    raise _none(name, documents, tally, pairs=pairs)


def _maker(
    tokenizer: Tokenizer, options: ChatOptions, template: ChatTemplate | None
) -> ChatMaker:
    names = getattr(tokenizer, "special_names", ())
    marker = Marker(template, options.trains, names)
    return ChatMaker(tokenizer, marker, options.max_tokens)


def _thing(*, pairs: bool) -> str:
    return "pair" if pairs else "conversation"


def _none(
    name: str, documents: Documents, tally: Tally, *, pairs: bool
) -> ValueError:
    why = "\n".join(_left_out(documents, tally)) or "it is empty"
    return ValueError(f"{name}: no {_thing(pairs=pairs)} to train on: {why}")


def _shown(
    items: Iterable[Named], progress: Callable[[], None]
) -> Iterator[Named]:
    for item in items:
        yield item
        progress()


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
