"""`eisbach config`: what a configuration resolves to, and whether it fits."""

from __future__ import annotations

from typing import Annotated

import typer

from eisbach.cli.arguments import ConfigArguments, split


def command(
    arguments: ConfigArguments = None,
    *,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Check all that `eisbach train` checks before it joins the "
            "ranks; exit with 1 if something does not fit.",
        ),
    ] = False,
    ranks: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Ranks to check for; without it as many as the "
            "configuration needs at least.",
        ),
    ] = None,
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

    * `eisbach config configs/gpt_bytes.yaml parallel.tensor=2 --check --ranks 8`
    """  # noqa: D412, E501
    import json

    from eisbach.config import file_schema, load_config, resolve

    if as_schema:
        print(json.dumps(file_schema(), indent=2))
        return
    file, keys = split(arguments)
    config = resolve(load_config(file, keys), file=file)
    with config.located():
        if not check and ranks is None:
            print(_with_vocab(config).as_yaml(), end="")
            return
        print(_checked(config, ranks))


def _with_vocab(config):
    from eisbach.config import resolve
    from eisbach.data.new_tokens import NewTokens
    from eisbach.data.tokenizer import load_tokenizer

    if config.model.vocab != "auto":
        return config
    added = NewTokens.of(config.model)
    tokenizer = load_tokenizer(config.data.tokenizer, added=added)
    return resolve(config, vocab=tokenizer.vocab)


def _checked(config, ranks: int | None) -> str:
    from eisbach.fitting import (
        check_data,
        count,
        fit,
        least_ranks,
        spell_sizes,
    )
    from eisbach.run.folder import check_home, check_name

    check_name(config.run.name)
    check_home(config.run.dir)
    found = fit(config, ranks or least_ranks(config))
    check_data(found.config)
    ranks = found.mesh.world_size
    model = found.engine.model
    return (
        f"fits {count(ranks, 'rank')}: {spell_sizes(found.mesh)}; "
        f"{model.family}, "
        f"{model.parameters:,} parameters, {found.config.train.steps} steps"
    )
