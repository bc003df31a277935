"""A configuration on a command line: a file and keys, in any order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from eisbach.run.statuses import USAGE

if TYPE_CHECKING:
    from eisbach.config import Config

ConfigArguments = Annotated[
    list[str] | None,
    typer.Argument(
        help="A YAML file, and keys that differ from it: section.key=value.",
        metavar="[CONFIG] [SECTION.KEY=VALUE]...",
    ),
]


class MisuseError(ValueError):
    """A command line that means nothing."""

    exit_code = USAGE


def split(arguments: Sequence[str] | None) -> tuple[Path | None, list[str]]:
    """Tells the file from the keys.

    Returns:
      The file, None where there is none, and the keys.

    Raises:
      MisuseError: There is more than one file, or a word is neither.
    """
    files, keys = [], []
    for word in arguments or ():
        # Path.exists raises for what is too long to be a name.
        is_key = "=" in word and not os.path.exists(word)
        (keys if is_key else files).append(word)
    for word in files:
        if not os.path.exists(word) and "/" not in word and not _is_yaml(word):
            raise MisuseError(_neither(word))
    if len(files) > 1:
        raise MisuseError(
            f"{' and '.join(files)} are {len(files)} files, and a run is one; "
            f"a file builds on another by a line such as `base: {files[0]}`"
        )
    return (Path(files[0]) if files else None), keys


def load(
    arguments: Sequence[str] | None, *, command: str, free: Sequence[str] = ()
) -> tuple[Path | None, Config]:
    """Loads what the arguments of a command say.

    Args:
      arguments: As the user gave them.
      command: That needs a configuration, to be told of where none is given.
      free: Keys that the command chooses (`load_config`).

    Returns:
      The file, None where keys alone were given, and the configuration.
    """
    from eisbach.config import load_config, resolve

    file, keys = split(arguments)
    if not file and not keys:
        raise MisuseError(
            f"{command} needs a configuration: `eisbach {command} FILE`, with "
            f"keys that differ as section.key=value behind it; {_at_hand()}"
        )
    return file, resolve(load_config(file, keys, free=free), file=file)


def _at_hand() -> str:
    found = sorted(
        str(path)
        for folder in (Path(), Path("configs"))
        for pattern in ("*.yaml", "*.yml")
        for path in folder.glob(pattern)
        if not path.name.startswith(".")
    )
    if not found:
        return "neither this folder nor configs/ holds a .yaml file"
    more = f" and {len(found) - 6} more" if len(found) > 6 else ""
    return f"here are {', '.join(found[:6])}{more}"


def _is_yaml(word: str) -> bool:
    return Path(word).suffix in (".yaml", ".yml")


def _neither(word: str) -> str:
    from eisbach.config.problems import find_key

    if key := find_key(word):
        return f"{word}: a key needs a value: {key}=VALUE"
    return (
        f"{word}: neither a file nor section.key=value; a file is YAML, "
        f"{_at_hand()}"
    )


class KeyedCommand(TyperCommand):
    """A command that says how a key is given when one comes as an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses; `--lr 1e-3` is answered by `optimizer.lr=1e-3`."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            option = getattr(error, "option_name", None)
            if option and (hint := _as_key(option, words)):
                raise MisuseError(hint) from None
            raise


def _as_key(option: str, words: list[str]) -> str:
    """Says how to spell an option as a key; empty if it means none."""
    from eisbach.config import ConfigError, load_config
    from eisbach.config.problems import find_key

    key = find_key(option.lstrip("-").replace("-", "_"))
    if not key:
        return ""
    value = "VALUE"
    for i, word in enumerate(words):
        if word.partition("=")[0] == option:
            value = word.partition("=")[2] or "".join(words[i + 1 : i + 2])
    try:
        load_config(None, [f"{key}={value}"])
    except ConfigError:
        value = "VALUE"
    return f"{option}: keys have no dashes: {key}={value}"
