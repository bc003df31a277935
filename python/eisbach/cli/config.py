"""`eisbach config`: what a configuration resolves to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigArgument = Annotated[
    Path | None, typer.Argument(help="A YAML file.", metavar="CONFIG")
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Keys that differ from the file: section.key=value.",
        metavar="[SECTION.KEY=VALUE]...",
    ),
]


def split(
    config: Path | None, overrides: list[str] | None
) -> tuple[Path | None, list[str]]:
    """Tells a file from a first override: the file may be left out."""
    overrides = overrides or []
    if config and "=" in str(config) and not config.exists():
        return None, [str(config), *overrides]
    return config, overrides


def command(
    config: ConfigArgument = None,
    overrides: OverridesArgument = None,
    *,
    as_schema: Annotated[
        bool,
        typer.Option(
            "--schema", help="Print the JSON schema of such files for editors."
        ),
    ] = False,
) -> None:
    """Print a configuration with the origin of each value.

    The output is itself a configuration. Without CONFIG: the defaults.

    Examples:

    * `eisbach config configs/gpt_bytes.yaml`

    * `eisbach config configs/gpt_bytes.yaml model.layers=8 "optimizer.betas=[0.9, 0.99]"`
    """  # noqa: D412, E501
    import json

    from eisbach.config import load_config, resolve, schema
    from eisbach.data.tokenizer import load_tokenizer

    if as_schema:
        print(json.dumps(schema(), indent=2))
        return
    config, overrides = split(config, overrides)
    loaded = load_config(config, overrides)
    vocab = None
    if loaded.model.vocab == "auto":
        vocab = load_tokenizer(loaded.data.tokenizer).vocab
    print(resolve(loaded, file=config, vocab=vocab).as_yaml(), end="")
