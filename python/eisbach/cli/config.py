"""`eisbach config`: what a configuration resolves to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigArgument = Annotated[
    Path, typer.Argument(help="A YAML file.", metavar="CONFIG")
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Keys that differ from the file: section.key=value.",
        metavar="[SECTION.KEY=VALUE]...",
    ),
]


def command(
    config: ConfigArgument,
    overrides: OverridesArgument = None,
) -> None:
    """Print a configuration with the origin of each value.

    The output is itself a configuration.

    Examples:

    * `eisbach config configs/gpt_bytes.yaml`

    * `eisbach config configs/gpt_bytes.yaml model.layers=8 "optimizer.betas=[0.9, 0.99]"`
    """  # noqa: D412, E501
    from eisbach.config import load_config, resolve
    from eisbach.data.tokenizer import load_tokenizer

    loaded = load_config(config, overrides or ())
    vocab = None
    if loaded.model.vocab == "auto":
        vocab = load_tokenizer(loaded.data.tokenizer).vocab
    print(resolve(loaded, file=config, vocab=vocab).as_yaml(), end="")
