"""What a model says in a conversation: the text of it, and where it is.

A template is a program, so that nobody can tell from outside which part of its
text a model would have to write. But it can be asked: the text of the first
messages with the head of the assistant's turn is what a model is given, and the
text with that turn in it is the same and what it has to answer. So the second
must begin with the first, and what follows is the answer, the token that ends
it included. Where that is not so, the template refuses the conversation.

Templates may write an earlier turn in another way once more turns follow (those
that drop what the model thought). Such a turn is trained as it was when it was
the last: a conversation then becomes several documents, each trained where the
others are not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from eisbach.data.chat_template import ChatTemplate, TemplateRefuses
from eisbach.data.conversations import Conversation, Message
from eisbach.data.tool_calls import (
    THOUGHT_END,
    check_calls,
    with_spelled_arguments,
    words_of,
)

TrainOn = Literal["assistant", "completion", "all", "last"]
# Fields in which a turn may hold what the model thought.
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
# How templates are told that a model is asked not to think.
_NO_THOUGHT = {"enable_thinking": False, "thinking": False}


@dataclass(frozen=True)
class Marked:
    """A document.

    Attributes:
      text: All of it.
      spans: Begin and end of what is trained, in characters, in order.
      bare: Whether it is a text without template, so that what begins and
        ends documents is not in it.
    """

    text: str
    spans: list[tuple[int, int]]
    bare: bool = False


class Marker:
    """Writes conversations by a template and marks what is trained."""

    def __init__(
        self,
        template: ChatTemplate | None,
        train_on: TrainOn,
        specials: Sequence[str] = (),
    ):
        """Writes nothing yet.

        Args:
          template: None where there are plain texts alone.
          train_on: `assistant`: all that it says; `completion`: what it says
            after the user's last turn, or in the completion of a pair;
            `last`: its last turn; `all`: every token.
          specials: Texts of the special tokens of the tokenizer.
        """
        self._template = template
        self._train_on = train_on
        ends = template.ends if template else ()
        self._specials = tuple({*specials, *ends} - {""})
        self._ends = ends
        self._eos = template.tokens.get("eos_token", "") if template else ""

    def documents(self, conversation: Conversation) -> list[Marked]:
        """Returns the documents of a conversation, mostly one.

        Raises:
          TemplateRefuses: The template cannot write it, or so that nobody
            could tell what is the assistant's.
        """
        if not conversation.messages:
            return [self._pair(conversation)]
        if self._template is None:
            raise TemplateRefuses("there is no template for messages")
        try:
            return self._marked(conversation)
        except TemplateRefuses:
            spelled = with_spelled_arguments(conversation)
            if spelled is None:
                raise
            # Some templates want the arguments of calls as text.
            with contextlib.suppress(TemplateRefuses):
                return self._marked(spelled)
            raise

    def _marked(self, conversation: Conversation) -> list[Marked]:
        messages = conversation.messages
        if self._train_on == "all":
            text = self._render(conversation, len(messages))
            check_calls(messages, text)
            return [self._ended(Marked(text, [(0, len(text))]), messages[-1])]
        said = [i for i, m in enumerate(messages) if m["role"] == "assistant"]
        wanted = self._wanted(said, conversation)
        turns = [self._turn(conversation, i) for i in wanted]
        return self._joined(turns, messages)

    def _pair(self, conversation: Conversation) -> Marked:
        begin = len(conversation.prompt)
        text = conversation.prompt + conversation.completion
        begin = 0 if self._train_on == "all" else begin
        return Marked(text, [(begin, len(text))], bare=True)

    def _wanted(self, said: list[int], conversation: Conversation) -> list[int]:
        if self._train_on == "last":
            return said[-1:]
        first = conversation.answer
        if first is None and self._train_on == "completion":
            asked = [
                i
                for i, m in enumerate(conversation.messages[: said[-1]])
                if m["role"] == "user"
            ]
            first = asked[-1] if asked else 0
        wanted = [i for i in said if i >= (first or 0)]
        if not wanted:
            raise TemplateRefuses("the completion has no turn of the assistant")
        return wanted

    def _render(
        self,
        conversation: Conversation,
        count: int,
        *,
        asks: bool = False,
        **more: bool,
    ) -> str:
        assert self._template
        return self._template.render(
            conversation.messages[:count],
            tools=conversation.tools,
            add_generation_prompt=asks,
            **more,
        )

    def _turn(self, conversation: Conversation, turn: int) -> Marked:
        """The conversation up to a turn, of which that turn is trained."""
        message = conversation.messages[turn]
        try:
            return self._asked(conversation, turn)
        except TemplateRefuses:
            if THOUGHT_END in message["content"] or any(
                message.get(name) for name in _THOUGHTS
            ):
                raise
            # A turn without a thought is said by a model that is not to think.
            with contextlib.suppress(TemplateRefuses):
                return self._asked(conversation, turn, **_NO_THOUGHT)
            raise

    def _asked(
        self, conversation: Conversation, turn: int, **more: bool
    ) -> Marked:
        asked = self._render(conversation, turn, asks=True, **more)
        text = self._render(conversation, turn + 1, **more)
        number = turn + 1
        if not text.startswith(asked):
            pairs = enumerate(zip(asked, text, strict=False))
            at = next((i for i, (a, b) in pairs if a != b), len(text))
            raise TemplateRefuses(
                f"turn {number}: a model is asked with "
                f"{asked[at : at + 24]!r} where the text of the turn has "
                f"{text[at : at + 24]!r}"
            )
        answer = text[len(asked) :]
        message = conversation.messages[turn]
        for words in words_of(message):
            if words not in answer:
                raise TemplateRefuses(
                    f"turn {number}: what the assistant says is not in the "
                    "text as it was said"
                )
        check_calls([message], answer)
        if self._asks_again(conversation, turn, asked, text, more):
            raise TemplateRefuses(
                f"turn {number}: the template puts the head of an answer "
                "behind it, whether it is asked for one or not"
            )
        end = len(asked) + self._length(answer)
        return Marked(text, [(len(asked), end)])

    def _asks_again(
        self,
        conversation: Conversation,
        turn: int,
        asked: str,
        text: str,
        more: dict[str, bool],
    ) -> bool:
        """Whether a text ends as a question does, and goes on otherwise."""
        if turn == 0:
            return False
        # What follows the words before the answer.
        words = conversation.messages[turn - 1]["content"].strip()
        head = asked[asked.rfind(words) + len(words) :].strip()
        if not words or not head or not text.rstrip().endswith(head):
            return False
        on = replace(
            conversation,
            messages=[
                *conversation.messages[: turn + 1],
                {"role": "user", "content": "?"},
            ],
        )
        with contextlib.suppress(TemplateRefuses):
            longer = self._render(on, turn + 2, **more)
            return not longer.startswith(text)
        return False

    def _length(self, answer: str) -> int:
        """Leaves out blanks behind the token that ends a turn."""
        stripped = answer.rstrip()
        return len(stripped if stripped.endswith(self._specials) else answer)

    def _joined(
        self, turns: list[Marked], messages: list[Message]
    ) -> list[Marked]:
        made = [self._ended(turns[-1], messages[-1])]
        for turn in reversed(turns[:-1]):
            later = made[-1]
            span = self._span_in(turn, later.text)
            if span:
                made[-1] = Marked(later.text, [span, *later.spans])
            else:
                made.append(self._ended(turn, messages[-1]))
        return made[::-1]

    def _span_in(self, turn: Marked, text: str) -> tuple[int, int] | None:
        """Where a turn is in a longer text; None: not as it was."""
        ((begin, end),) = turn.spans
        own = turn.text
        if not text.startswith(own):
            # Some end what they write, and not the turn, by another token.
            own = own.rstrip().removesuffix(self._eos)
            end = begin + self._length(own[begin:])
            if len(own) <= begin or not own[:end].endswith(self._specials):
                return None
            if not text.startswith(own):
                return None
        if not text[begin:end].endswith(self._specials):
            # Others end a turn by the token with which the next one begins.
            for stop in self._ends:
                if text.startswith(stop, end):
                    end += len(stop)
                    break
        return begin, end

    def _ended(self, document: Marked, last: Message) -> Marked:
        """Ends what a template leaves open, so that a model learns to stop."""
        begin, end = document.spans[-1]
        eos = self._ends[0] if self._ends else ""
        if not eos or document.text[begin:end].endswith(self._specials):
            return document
        if self._train_on == "all" and (
            last["role"] != "assistant"
            or document.text.rstrip().endswith(self._specials)
        ):
            return document
        text = document.text[:end] + eos
        return Marked(text, [*document.spans[:-1], (begin, len(text))])
