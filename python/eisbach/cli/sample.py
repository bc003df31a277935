"""`eisbach sample`: text from a trained model."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from eisbach.sampling import Model, Reply, SamplingOptions

Folder = Annotated[
    Path,
    typer.Argument(
        help="The folder of a run, or of a model with `config.json` and "
        "`model.safetensors`.",
        metavar="FOLDER",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        help="`run.`, `precision.` and `parallel.` keys to change.",
        metavar="[SECTION.KEY=VALUE]...",
    ),
]
Tokens = Annotated[
    int, typer.Option(min=1, help="Most tokens to make for a prompt.")
]
Temperature = Annotated[
    float, typer.Option(min=0.0, help="0 takes the likeliest token each time.")
]
TopK = Annotated[
    int, typer.Option(min=0, help="Only so many likeliest tokens; 0: all.")
]
TopP = Annotated[
    float,
    typer.Option(
        help="The fewest likeliest tokens whose probabilities sum to this."
    ),
]
MinP = Annotated[
    float,
    typer.Option(help="Tokens so many times as likely as the likeliest."),
]
Penalty = Annotated[
    float,
    typer.Option(
        "--repetition-penalty",
        help="Above 1: tokens that occur become less likely.",
    ),
]
Stop = Annotated[
    list[str] | None,
    typer.Option(help="A text that ends the answer; may be given often."),
]
Seed = Annotated[int, typer.Option(min=0, help="Of the draws.")]
TokenizerName = Annotated[
    str | None,
    typer.Option(
        help="`bytes` or a `tokenizer.json`, where the folder has none."
    ),
]
AdapterName = Annotated[
    str | None,
    typer.Option(
        help="Adapters that the folder has by this name, or a run or folder of "
        "adapters for its model.",
        metavar="NAME",
    ),
]


def command(
    folder: Folder,
    overrides: Overrides = None,
    *,
    prompt: Annotated[
        list[str] | None,
        typer.Option(help="What the text starts with; may be given often."),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="A file of prompts, one a line; of `.jsonl` the field "
            "`prompt`.",
            metavar="FILE",
        ),
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, help="Prompts that are continued at once.")
    ] = 8,
    tokens: Tokens = 200,
    temperature: Temperature = 0.8,
    top_k: TopK = 40,
    top_p: TopP = 1.0,
    min_p: MinP = 0.0,
    repetition_penalty: Penalty = 1.0,
    stop: Stop = None,
    seed: Seed = 0,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="A line of JSON a prompt: prompt, text, tokens, end.",
        ),
    ] = False,
    tokenizer: TokenizerName = None,
    adapter: AdapterName = None,
) -> None:
    """Continue prompts with the model of a run, or of another folder.

    Example: `eisbach sample runs/gpt_bytes --prompt "def main("`
    """
    from eisbach.cli.arguments import MisuseError
    from eisbach.sampling import SamplingOptions, load_model

    texts = [_utf8(text) for text in prompt or ()]
    if prompts is not None:
        texts += _read(prompts)
    if not texts:
        raise MisuseError(
            "sample needs a prompt: --prompt TEXT, --prompts FILE"
        )
    model = load_model(
        folder, overrides or (), tokenizer=tokenizer, adapter=adapter
    )
    options = SamplingOptions(
        tokens=tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
        stops=tuple(stop or ()),
    )
    if as_json or len(texts) > 1:
        _print_all(model, texts, options, batch, as_json)
    else:
        _print_one(model, texts[0], options)


def tell_full(model: Model, reply: Reply) -> None:
    """Says on stderr that a text has ended since the context is full."""
    if reply.end == "context" and model.world.rank == 0:
        context = model.engine.config.model.context
        print(
            f"eisbach: the context of {context} tokens is full (model.context)",
            file=sys.stderr,
        )


def _print_one(model: Model, prompt: str, options: SamplingOptions) -> None:
    from eisbach.sampling import generate, printable, prompt_ids

    terminal = sys.stdout.isatty()

    def show(_: int, text: str) -> None:
        if model.world.rank == 0:
            print(printable(text) if terminal else text, end="", flush=terminal)

    ids = prompt_ids(model, prompt)
    begin = len(model.tokenizer.begin_of_document)
    show(0, model.tokenizer.decode(ids[begin:]))
    (reply,) = generate(model, [ids], options, on_text=show)
    show(0, "\n")
    tell_full(model, reply)


def _print_all(
    model: Model,
    prompts: Sequence[str],
    options: SamplingOptions,
    batch: int,
    as_json: bool,
) -> None:
    from eisbach.sampling import generate, printable, prompt_ids

    every = [prompt_ids(model, prompt) for prompt in prompts]
    for first in range(0, len(every), batch):
        ids = every[first : first + batch]
        replies = generate(model, ids, options, first=first)
        if model.world.rank:
            continue
        for at, reply in enumerate(replies, first):
            if as_json:
                line = {"prompt": prompts[at], **vars(reply)}
                print(json.dumps(line, ensure_ascii=False))
                continue
            text = f"--- {at + 1}\n{prompts[at]}{reply.text}"
            print(printable(text) if sys.stdout.isatty() else text)
            tell_full(model, reply)
        sys.stdout.flush()


def _utf8(prompt: str) -> str:
    from eisbach.cli.arguments import MisuseError

    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        at = len(os.fsencode(prompt[: error.start]))
        raise MisuseError(f"--prompt: not UTF-8 at byte {at}") from None
    return prompt


def _read(file: Path) -> list[str]:
    """The prompts of a file, without lines that are empty."""
    from eisbach.files import read_regular

    try:
        lines = read_regular(file).decode().splitlines()
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror} (--prompts)") from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file}: not UTF-8 at byte {error.start} (--prompts)"
        ) from None
    if file.suffix == ".jsonl":
        return list(_fields(file, lines))
    return [line for line in lines if line]


def _fields(file: Path, lines: Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)["prompt"]
        except (ValueError, KeyError, TypeError):
            found = None
        if not isinstance(found, str):
            raise ValueError(
                f'{file}:{number}: no JSON such as {{"prompt": "text"}} '
                "(--prompts)"
            )
        yield found
