"""`eisbach eval`: perplexity of texts, accuracy on questions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eisbach.cli.sample import AdapterName, Folder, TokenizerName

if TYPE_CHECKING:
    from eisbach.evaluating import ChoiceScore, TextScore


def command(
    folder: Folder,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            help="Texts, or `.jsonl` with questions; and `run.`, "
            "`precision.` and `parallel.` keys to change.",
            metavar="FILE... [SECTION.KEY=VALUE]...",
        ),
    ] = None,
    *,
    stride: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Tokens between the windows in which a text is seen; half "
            "of the context unless given.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, not a table.")
    ] = False,
    tokenizer: TokenizerName = None,
    adapter: AdapterName = None,
) -> None:
    """Tell how well a model predicts texts and answers questions.

    A text is scored by its loss: nats a token, perplexity, and bits a byte,
    which models of different tokenizers are compared by. A file `.jsonl` has
    questions with choices, a line each:
    `{"question": "1 + 1 =", "choices": ["2", "3"], "answer": 0}`; the choice
    counts as right that the model finds likeliest (`by length`: for its number
    of characters).

    Example: `eisbach eval runs/tuned book.txt questions.jsonl`
    """
    from eisbach.cli.arguments import MisuseError
    from eisbach.evaluating import is_questions, score_choices, score_text
    from eisbach.sampling import load_model

    files, keys = [], []
    for word in arguments or ():
        (keys if "=" in word and not Path(word).exists() else files).append(
            word
        )
    if not files:
        raise MisuseError("eval needs a file: `eisbach eval FOLDER FILE...`")
    model = load_model(folder, keys, tokenizer=tokenizer, adapter=adapter)
    context = model.engine.config.model.context
    step = stride or max(1, context // 2)
    texts: list[TextScore] = []
    choices: list[ChoiceScore] = []
    for file in map(Path, files):
        if is_questions(file):
            choices.append(score_choices(model, file))
        else:
            texts.append(score_text(model, file, stride=step))
    if model.world.rank:
        return
    if as_json:
        print(json.dumps(_as_json(texts, choices, context, step), indent=2))
    else:
        print("\n".join(_lines(texts, choices, context, step)))
    for one in choices:
        if one.cut:
            print(
                f"eisbach: {one.file}: {one.cut} questions were cut at their "
                f"beginning to fit {context} tokens (model.context)",
                file=sys.stderr,
            )


def _as_json(
    texts: list[TextScore], choices: list[ChoiceScore], context: int, step: int
) -> dict[str, object]:
    return {
        "context": context,
        "stride": step,
        "texts": [
            {
                **vars(one),
                "nats_per_token": one.nats_per_token,
                "perplexity": one.perplexity,
                "bits_per_byte": one.bits_per_byte,
            }
            for one in texts
        ],
        "choices": [
            {
                **vars(one),
                "accuracy": one.accuracy,
                "accuracy_by_length": one.accuracy_by_length,
            }
            for one in choices
        ],
    }


def _lines(
    texts: list[TextScore], choices: list[ChoiceScore], context: int, step: int
) -> list[str]:
    from eisbach.evaluating import table, total

    lines = []
    if texts:
        rows = [("text", "tokens", "nats/token", "perplexity", "bits/byte")]
        every = [*texts, total(texts)] if len(texts) > 1 else texts
        rows += [
            (
                one.file,
                f"{one.tokens:,}",
                f"{one.nats_per_token:.4f}",
                f"{one.perplexity:,.3f}",
                f"{one.bits_per_byte:.4f}",
            )
            for one in every
        ]
        lines += [*table(rows), f"windows of {context} tokens, {step} apart"]
    if texts and choices:
        lines.append("")
    if choices:
        rows = [("questions", "number", "accuracy", "by length")]
        rows += [
            (
                one.file,
                f"{one.questions:,}",
                f"{one.accuracy:.4f}",
                f"{one.accuracy_by_length:.4f}",
            )
            for one in choices
        ]
        lines += table(rows)
    return lines
