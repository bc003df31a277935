"""Reads a configuration file and the options that change it, strictly."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from eisbach.config.errors import ConfigError, Problem
from eisbach.config.resolve import resolve
from eisbach.config.root import Config, schema
from eisbach.config.rules import at, nearest, rule, show
from eisbach.config.tree import (
    COMMAND_LINE,
    PROGRAM,
    Path,
    Tree,
    dotted,
    read_value,
)


def load_config(
    path: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
) -> Config:
    """Reads a configuration.

    Args:
      path: A YAML 1.2 file; None starts from the defaults.
      overrides: `section.key=value`, the value in YAML; the last one of a
        key wins.

    Returns:
      A configuration that knows the origin of each value. `auto` is kept;
      see `resolve`.

    Raises:
      ConfigError: Anything is unknown, given twice, of the wrong type or out
        of range; it names every such place at once.
    """
    tree = Tree()
    if path is not None:
        _read_file(os.fspath(path), tree)
    for override in overrides:
        _read_override(override, tree)
    return _check(tree)


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


def _check(tree: Tree) -> Config:
    values = {k: {} if v is None else v for k, v in tree.values.items()}
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_problems(error, values, tree)) from None
    origins = {
        dotted(p): origin for p, origin in tree.origins.items() if len(p) == 2
    }
    config = config.with_origins(origins)
    if unused := list(_unused(config)):
        raise ConfigError(unused)
    return config


def _read_file(file: str, tree: Tree) -> None:
    try:
        with open(file, encoding="utf-8") as stream:
            text = stream.read()
    except OSError as error:
        problem = Problem(file, "", f"cannot read: {error.strerror}")
        raise ConfigError([problem]) from None
    except UnicodeDecodeError as error:
        problem = Problem(file, "", f"not UTF-8 at byte {error.start}")
        raise ConfigError([problem]) from None
    value, origins = read_value(text, file, ())
    if value is None:
        return
    if not isinstance(value, dict):
        message = f"{show(value)[:40]}: a file holds sections such as `model:`"
        raise ConfigError([Problem(f"{file}:1", "", message)])
    tree.values, tree.origins = value, origins


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
    # The key of a nested change counts as given on the command line.
    origins[path[:2]] = COMMAND_LINE
    tree.set(path, value, origins)
    tree.origins[path[:2]] = COMMAND_LINE


def _problems(
    error: ValidationError, values: dict[str, Any], tree: Tree
) -> list[Problem]:
    """Turns pydantic's list into one problem for each key that is wrong."""
    found: dict[Path, Problem] = {}
    for item in error.errors(include_url=False, include_context=False):
        path = _real_path(item["loc"], values, item["type"])
        found[path] = _problem(item["type"], path, values, tree)
    # Of the alternatives of one key, the one that got furthest is meant.
    deepest = [
        path
        for path in found
        if not any(p != path and p[: len(path)] == path for p in found)
    ]
    return [found[path] for path in deepest]


def _real_path(loc: Path, values: Any, kind: str) -> Path:
    """Drops from pydantic's location the names of alternatives of a union."""
    path: Path = ()
    for i, part in enumerate(loc):
        last = i == len(loc) - 1
        if (
            part in values
            if isinstance(values, dict)
            else (isinstance(values, list) and isinstance(part, int))
        ):
            values = values[part]
        elif not (last and kind == "missing"):
            continue
        path = (*path, part)
    return path


def _problem(kind: str, path: Path, values: Any, tree: Tree) -> Problem:
    root = schema()
    origin, name = tree.origin(path), dotted(path)
    if kind == "extra_forbidden":
        return Problem(origin, name, _unknown(path, root))
    schemas = at(path, root)
    if kind == "missing":
        return Problem(origin, name, "missing; it has no default")
    for part in path:
        values = values[part]
    if len(path) == 1:
        allowed = ", ".join(at(path, root)[0]["properties"])
        message = f"{show(values)} is no section; it holds the keys {allowed}"
        return Problem(origin, name, message)
    message = f"{show(values)}: must be {rule(schemas, root)}"
    if near := nearest(values, schemas):
        message += f"; nearest: {near}"
    elif default := _default(path, root):
        message += f"; default: {default}"
    return Problem(origin, name, message)


def _default(path: Path, root: dict[str, Any]) -> str:
    section = at(path[:1], root)[0]
    found = section["properties"].get(path[1], {})
    if len(path) == 2 and "default" in found:
        return show(found["default"])
    return ""


def _unknown(path: Path, root: dict[str, Any]) -> str:
    """Says which known key is closest, wherever in the file it lives."""
    siblings = [
        name for s in at(path[:-1], root) for name in s.get("properties", {})
    ]
    close = difflib.get_close_matches(str(path[-1]), siblings, n=1)
    if close:
        return f"unknown key; closest: {dotted((*path[:-1], close[0]))}"
    everywhere = {
        f"{section}.{name}": name
        for section in root["properties"]
        for name in at((section,), root)[0]["properties"]
    }
    for full, name in everywhere.items():
        if name == path[-1]:
            return f"unknown key; closest: {full}"
    close = difflib.get_close_matches(str(path[-1]), everywhere.values(), n=1)
    if close:
        full = next(f for f, name in everywhere.items() if name == close[0])
        return f"unknown key; closest: {full}"
    return f"unknown key; known: {', '.join(siblings)}"


def _unused(config: Config) -> Iterator[Problem]:
    """Yields the keys that are set but mean nothing beside the others."""
    for section in schema()["properties"]:
        for name, prop in at((section,), schema())[0]["properties"].items():
            value = getattr(getattr(config, section), name)
            if value == prop.get("default"):
                continue
            for key, wanted in prop.get("only", {}).items():
                other, field = key.split(".")
                actual = getattr(getattr(config, other), field)
                if actual != wanted:
                    full = f"{section}.{name}"
                    yield Problem(
                        config.origin(full),
                        full,
                        f"{show(value)}: has a meaning only with "
                        f"{key}={wanted}, and {key} is {actual} "
                        f"({config.origin(key)}); leave it out, or nearest: "
                        f"{show(prop['default'])}",
                    )
