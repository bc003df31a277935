"""`eisbach sample`: text from a trained model."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[
        Path,
        typer.Argument(
            help="The folder of a run, or of a model with `config.json` and "
            "`model.safetensors`.",
            metavar="FOLDER",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="`run.` and `precision.` keys to change.",
            metavar="[SECTION.KEY=VALUE]...",
        ),
    ] = None,
    *,
    prompt: Annotated[str, typer.Option(help="What the text starts with.")],
    tokens: Annotated[
        int, typer.Option(min=1, help="Most tokens to make.")
    ] = 200,
    temperature: Annotated[
        float,
        typer.Option(min=0.0, help="0 takes the likeliest token each time."),
    ] = 0.8,
    top_k: Annotated[
        int,
        typer.Option(min=0, help="Only so many likeliest tokens; 0: all."),
    ] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="`bytes` or a `tokenizer.json`, where the folder has none."
        ),
    ] = None,
) -> None:
    """Continue a prompt with the model of a run, or of another folder.

    Example: `eisbach sample runs/gpt_bytes --prompt "def main("`
    """
    from eisbach.cli.arguments import MisuseError
    from eisbach.sampling import load_model, printable, sample

    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        at = len(os.fsencode(prompt[: error.start]))
        raise MisuseError(f"--prompt: not UTF-8 at byte {at}") from None
    model = load_model(folder, overrides or (), tokenizer=tokenizer)
    text = sample(
        model,
        prompt,
        tokens=tokens,
        temperature=temperature,
        top_k=top_k,
        seed=seed,
    )
    if model.world.rank == 0:
        print(printable(text) if sys.stdout.isatty() else text)
