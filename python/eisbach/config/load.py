"""Reads a configuration file and the options that change it, strictly."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from eisbach.arguments import takes
from eisbach.config.errors import ConfigError, Problem
from eisbach.config.file import read_file
from eisbach.config.problems import default_of, unused, validate
from eisbach.config.resolve import resolve
from eisbach.config.root import Config
from eisbach.config.tree import (
    COMMAND_LINE,
    PROGRAM,
    Path,
    Tree,
    dotted,
    read_value,
)


@takes(path=(str, os.PathLike), overrides=[str], free=[str])
def load_config(
    path: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    *,
    free: Sequence[str] = (),
) -> Config:
    """Reads a configuration.

    Args:
      path: A YAML 1.2 file, read over its `base` if it names one; None
        starts from the defaults.
      overrides: `section.key=value`, the value in YAML; the last one of a
        key wins.
      free: Keys whose values somebody chooses later, but for those that
        `overrides` give: what means something beside some of their values is
        no error.

    Returns:
      A configuration that knows the origin of each value. `auto` is kept;
      see `resolve`.

    Raises:
      ConfigError: Anything is unknown, given twice, of the wrong type or out
        of range; it names every such place at once.
    """
    tree = Tree() if path is None else read_file(os.fspath(path))
    for override in overrides:
        _read_override(override, tree)
    return _check(tree, free)


def make_config(**sections: dict[str, Any]) -> Config:
    """Makes a configuration from values of a program, by the same rules.

    Args:
      **sections: `model={"layers": 2}` and so on; what is not given has its
        default.

    Returns:
      A configuration in which sizes and names are no longer `auto`, but for
      the vocabulary and what machine and ranks decide.

    Raises:
      ConfigError: As `load_config` does.
    """
    tree = Tree()
    for section, keys in sections.items():
        tree.set((section,), keys, {})
        tree.origins[(section,)] = PROGRAM
        for name in keys if isinstance(keys, dict) else ():
            tree.origins[(section, name)] = PROGRAM
    return resolve(_check(tree))


def as_config(value: Config | str | os.PathLike[str]) -> Config:
    """Returns a configuration, loaded and resolved where a file is named.

    Raises:
      TypeError: It is neither.
      ConfigError: As `load_config` does.
    """
    if isinstance(value, Config):
        return value
    if isinstance(value, (str, os.PathLike)):
        return resolve(load_config(value), file=value)
    raise TypeError(
        f"{type(value).__name__}: a configuration is the path of a file, or "
        "what make_config(model={...}) returns"
    )


def _check(tree: Tree, free: Sequence[str] = ()) -> Config:
    config, problems = validate(tree)
    if config is None:
        raise ConfigError(problems)
    origins = {
        dotted(p): origin for p, origin in tree.origins.items() if len(p) == 2
    }
    config = config.with_origins(origins)
    if problems := list(unused(config, free)):
        raise ConfigError(problems)
    return config


def _read_override(override: str, tree: Tree) -> None:
    name, equals, text = override.partition("=")
    name = name.strip()
    if not equals or not name:
        message = f"{override!r}: an option is section.key=value"
        raise ConfigError([Problem(COMMAND_LINE, "", message)])
    path: Path = tuple(
        int(part) if part.isdigit() else part
        for part in name.replace("[", ".").replace("]", "").split(".")
    )
    value, origins = read_value(text, COMMAND_LINE, path)
    section = tree.values.get(path[0]) or {}
    if len(path) > 2 and isinstance(section, dict) and path[1] not in section:
        # An item of a list is changed in the list that is there by default.
        default = default_of(path[:2])
        if isinstance(default, list):
            tree.set(path[:2], list(default), {})
    # The key of a nested change counts as given on the command line.
    origins[path[:2]] = COMMAND_LINE
    tree.set(path, value, origins)
    tree.origins[path[:2]] = COMMAND_LINE
