"""How well a model predicts texts, and which answers it prefers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach.files import read_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.sampling import Model

_MASKED = -1


@dataclass(frozen=True)
class TextScore:
    """How well a text is predicted.

    Attributes:
      file: Its name.
      loss: Sum over the tokens, in nats.
      tokens: That were predicted: all but the first, or all where the model's
        texts begin with a token of their own.
      bytes: Of the text of these tokens.
    """

    file: str
    loss: float
    tokens: int
    bytes: int

    @property
    def nats_per_token(self) -> float:
        """The mean loss."""
        return self.loss / self.tokens

    @property
    def perplexity(self) -> float:
        """Of a token; comparable between models of one tokenizer."""
        return math.exp(min(self.nats_per_token, 700.0))

    @property
    def bits_per_byte(self) -> float:
        """Comparable between all models."""
        return self.loss / math.log(2) / self.bytes


@dataclass(frozen=True)
class ChoiceScore:
    """How often the likeliest choice is the answer.

    Attributes:
      file: Its name.
      questions: How many there are.
      right: How many have the answer as their likeliest choice.
      right_by_length: The same with log-likelihoods divided by the number of
        characters of a choice.
      cut: Questions whose beginning did not fit the context.
    """

    file: str
    questions: int
    right: int
    right_by_length: int
    cut: int

    @property
    def accuracy(self) -> float:
        """The share that is right."""
        return self.right / self.questions

    @property
    def accuracy_by_length(self) -> float:
        """The share that is right, by likelihood a character."""
        return self.right_by_length / self.questions


@dataclass(frozen=True)
class Question:
    """A question, its choices, and which is right.

    Attributes:
      text: What comes before a choice.
      choices: Two at least, each with its space before it.
      answer: Index of the right one.
    """

    text: str
    choices: tuple[str, ...]
    answer: int


def score_text(model: Model, file: Path, *, stride: int) -> TextScore:
    """Predicts each token of a text from those before it; collective.

    The model sees windows of its context that begin `stride` tokens apart; in
    each the tokens count that no window before had.

    Args:
      model: That predicts.
      file: UTF-8.
      stride: 1 to the context.

    Raises:
      ValueError: The file cannot be read or is too short, or the stride is
        out of range.
    """
    context = model.engine.config.model.context
    if not 1 <= stride <= context:
        raise ValueError(
            f"stride={stride} is outside 1 to the context of {context} "
            "(--stride)"
        )
    text = _text(file)
    ids = np.asarray(model.tokenizer.prompt(text))
    if len(ids) < 2:
        raise ValueError(f"{file}: has no two tokens to predict one from")
    losses = [
        loss_of_end(model, ids[begin : end + 1], counted)
        for begin, end, counted in windows(len(ids), context, stride)
    ]
    size = len(text.encode())
    if not model.tokenizer.begin_of_document:
        size -= len(model.tokenizer.decode(ids[:1].tolist()).encode())
    return TextScore(str(file), sum(losses), len(ids) - 1, max(size, 1))


def windows(
    tokens: int, context: int, stride: int
) -> Iterator[tuple[int, int, int]]:
    """Yields windows in which each token but the first counts once.

    Yields:
      The first token that is seen, the last that is predicted, and how many at
      the end count.
    """
    done = begin = 0
    while done < tokens - 1:
        end = min(begin + context, tokens - 1)
        yield begin, end, end - done
        done = end
        begin += stride


def score_choices(model: Model, file: Path) -> ChoiceScore:
    """Asks which choice of each question is the likeliest; collective.

    Args:
      model: That is asked.
      file: JSON, a question a line; see `read_questions`.

    Raises:
      ValueError: The file is none of these.
    """
    right = by_length = cut = count = 0
    for question in read_questions(file):
        likelihoods, was_cut = _likelihoods(model, question)
        lengths = [len(choice.strip()) for choice in question.choices]
        each = [a / b for a, b in zip(likelihoods, lengths, strict=True)]
        right += int(np.argmax(likelihoods)) == question.answer
        by_length += int(np.argmax(each)) == question.answer
        cut += was_cut
        count += 1
    return ChoiceScore(str(file), count, right, by_length, cut)


def read_questions(file: Path) -> list[Question]:
    """Reads a question a line.

    Such as `{"question": "1 + 1 =", "choices": ["2", "3"], "answer": 0}`. The
    answer is an index, counted from 0, or the choice itself. A space comes
    between a question and a choice where neither has one.

    Raises:
      ValueError: A line is not of this form; there is none.
    """
    found = [
        _question(f"{file}:{number}", line)
        for number, line in enumerate(_text(file).splitlines(), 1)
        if line.strip()
    ]
    if not found:
        raise ValueError(f"{file}: has no question")
    return found


def _question(where: str, line: str) -> Question:
    form = '{"question": "...", "choices": ["...", "..."], "answer": 0}'
    try:
        row = json.loads(line)
        text, choices, answer = (
            row[key] for key in ("question", "choices", "answer")
        )
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{where}: no question of the form {form}") from None
    good = isinstance(text, str) and isinstance(choices, list)
    if not good or not all(isinstance(c, str) and c.strip() for c in choices):
        raise ValueError(
            f"{where}: question is no text, or choices are no list of texts"
        )
    if isinstance(answer, str) and answer in choices:
        answer = choices.index(answer)
    if len(choices) < 2 or not _is_index(answer, len(choices)):
        raise ValueError(
            f"{where}: answer={answer!r} is none of {len(choices)} choices; "
            "an index counts from 0"
        )
    apart = not text or text[-1].isspace()
    spaced = [c if apart or c[0].isspace() else f" {c}" for c in choices]
    return Question(text, tuple(spaced), answer)


def _is_index(answer: Any, size: int) -> bool:
    is_int = isinstance(answer, int) and not isinstance(answer, bool)
    return is_int and 0 <= answer < size


def _likelihoods(model: Model, question: Question) -> tuple[list[float], bool]:
    """The log-likelihood of each choice, and whether a question was cut."""
    context = model.engine.config.model.context
    before = model.tokenizer.prompt(question.text)
    found, cut = [], False
    for choice in question.choices:
        ids = model.tokenizer.prompt(question.text + choice)
        # A token may hold the end of the question and the begin of a choice.
        pairs = zip(before, ids, strict=False)
        same = next(
            (i for i, (a, b) in enumerate(pairs) if a != b),
            min(len(before), len(ids)),
        )
        counted = min(len(ids) - same, len(ids) - 1)
        if counted < 1:
            raise ValueError(
                f"the choice {choice!r} has no token of its own behind "
                f"{question.text!r}"
            )
        if counted > context:
            raise ValueError(
                f"the choice {choice[:40]!r}... has {counted} tokens, more "
                f"than the context of {context} (model.context)"
            )
        cut = cut or len(ids) > context + 1
        ids = np.asarray(ids[-(context + 1) :])
        found.append(-loss_of_end(model, ids, counted))
    return found, cut


def loss_of_end(model: Model, ids: NDArray[Any], counted: int) -> float:
    """Returns the loss of the last tokens of a text, summed; collective.

    Args:
      model: That predicts.
      ids: Of the text, at most one more than the context.
      counted: How many at the end count.
    """
    from eisbach import _C

    targets = ids[1:].copy()
    targets[: len(targets) - counted] = _MASKED
    batch = _C.Batch(ids[None, :-1], targets[None], model.engine.device)
    return model.engine.sample_losses(batch)[0]


def total(scores: Iterable[TextScore]) -> TextScore:
    """Returns what all texts come to."""
    scores = list(scores)
    return TextScore(
        "all",
        sum(one.loss for one in scores),
        sum(one.tokens for one in scores),
        sum(one.bytes for one in scores),
    )


def _text(file: Path) -> str:
    try:
        return read_regular(file).decode()
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not UTF-8 at byte {error.start}") from None


def is_questions(file: Path) -> bool:
    """Whether a file holds questions, not a text: by its name."""
    return file.suffix == ".jsonl"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns; the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
