"""`eisbach sample`: text from a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[
        Path, typer.Argument(help="The folder of a run.", metavar="RUN")
    ],
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
) -> None:
    """Continue a prompt with the model of a run.

    Example: `eisbach sample runs/gpt_bytes --prompt "def main("`
    """
    from eisbach.config import load_config
    from eisbach.run.folder import RunFolder
    from eisbach.sampling import load_model, sample

    folder = RunFolder.open(run)
    config = load_config(folder.config)
    world, engine, tokenizer = load_model(folder, config)
    text = sample(
        engine,
        tokenizer,
        prompt,
        tokens=tokens,
        temperature=temperature,
        top_k=top_k,
        seed=seed,
    )
    if world.rank == 0:
        print(prompt + text)
