"""What is wrong with values, and which nearby value or key would do.

Nothing is offered that the rules were not tried on: a value that is said to
work does, beside the other values of the same configuration.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from eisbach.config.errors import Problem
from eisbach.config.root import Config, schema
from eisbach.config.rules import at, candidates, rule, show
from eisbach.config.section import SAID
from eisbach.config.tree import Path, Tree, dotted

# How alike two words are at least, for one to be taken for the other.
_ALIKE = 0.7


def validate(tree: Tree) -> tuple[Config | None, list[Problem]]:
    """Checks types, ranges and names; returns the problems, all of them."""
    values = {k: {} if v is None else v for k, v in tree.values.items()}
    try:
        return Config.model_validate(values), []
    except ValidationError as error:
        found = _by_path(error, values)
        return None, [
            Problem(tree.origin(path), dotted(path), words)
            if kind == SAID
            else _problem(kind, path, values, tree)
            for path, (kind, words) in found.items()
        ]


def _by_path(
    error: ValidationError, values: dict[str, Any]
) -> dict[Path, tuple[str, str]]:
    """Returns kind and words of the error at each path that is wrong."""
    found: dict[Path, tuple[str, str]] = {}
    for item in error.errors(include_url=False, include_context=False):
        kind = item["type"]
        path = _real_path(item["loc"], values, kind)
        found[path] = kind, item["msg"]
    # Of the alternatives of one key, the one that got furthest is meant.
    return {
        path: said
        for path, said in found.items()
        if not any(p != path and p[: len(path)] == path for p in found)
    }


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


def _accepts(values: dict[str, Any], path: Path, value: Any) -> bool:
    """Whether no rule minds `value` at `path`, whatever else is wrong."""
    changed = Tree(copy.deepcopy(values))
    changed.set(path, value, {})
    try:
        Config.model_validate(changed.values)
    except ValidationError as error:
        wrong = _by_path(error, changed.values)
        return not any(p[: len(path)] == path for p in wrong)
    return True


def _problem(
    kind: str, path: Path, values: dict[str, Any], tree: Tree
) -> Problem:
    root = schema()
    origin, name = tree.origin(path), dotted(path)
    if kind == "extra_forbidden":
        return Problem(origin, name, _unknown(path, values, root))
    schemas = at(path, root)
    if kind == "missing":
        return Problem(origin, name, "missing; it has no default")
    value: Any = values
    for part in path:
        value = value[part]
    if len(path) == 1:
        allowed = ", ".join(schemas[0]["properties"])
        message = f"{show(value)} is no section; it holds the keys {allowed}"
        return Problem(origin, name, message)
    message = f"{show(value)}: must be {rule(schemas, root)}"
    for near in candidates(value, schemas, _words(path, root)):
        if _accepts(values, path, near):
            return Problem(origin, name, f"{message}; nearest: {show(near)}")
    if (default := default_of(path)) is not None:
        message += f"; default: {show(default)}"
    return Problem(origin, name, message)


def _declared(path: Path, root: dict[str, Any]) -> dict[str, Any]:
    """Returns what was said of a key of a section, alternatives unread."""
    for section in at(path[:1], root):
        return section.get("properties", {}).get(path[1], {})
    return {}


def _words(path: Path, root: dict[str, Any]) -> dict[str, str]:
    return _declared(path, root).get("words", {}) if len(path) == 2 else {}


def default_of(path: Path) -> Any:
    """Returns the default at a path, also inside of one; None without."""
    found = _declared(path, schema()).get("default")
    for part in path[2:]:
        if not isinstance(found, list) or not isinstance(part, int):
            return None
        found = found[part] if part < len(found) else None
    return found


def find_key(word: str) -> str:
    """Returns the key, `section.name`, that a word most likely means.

    Args:
      word: A name, also one of another program; empty when none is close.
    """
    root = schema()
    names: dict[str, str] = {}
    for section in root["properties"]:
        for name, prop in at((section,), root)[0]["properties"].items():
            for known in (name, *prop.get("knownAs", ())):
                names.setdefault(known, f"{section}.{name}")
            names.setdefault(f"{section}.{name}", f"{section}.{name}")
    return names[found] if (found := closest(word, names)) else ""


def closest(word: str, words: Any) -> str:
    """Returns the word of `words` that is most like another; "" for none."""
    if word in words:
        return word
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=_ALIKE)
    return found[0] if found else ""


def _unknown(path: Path, values: dict[str, Any], root: dict[str, Any]) -> str:
    """Says which known key is meant, wherever in the file it lives."""
    last = str(path[-1])
    value: Any = values
    for part in path:
        value = value[part]
    if len(path) == 1:
        sections = root["properties"]
        if isinstance(value, dict) and (near := closest(last, sections)):
            return f"unknown section; closest: {near}"
        full = find_key(last)
        if full and _accepts(values, tuple(full.split(".")), value):
            return f"unknown section; closest: {full}"
        return f"unknown section; known: {', '.join(sections)}"
    siblings = {
        known: name
        for s in at(path[:-1], root)
        for name, prop in s.get("properties", {}).items()
        for known in (name, *prop.get("knownAs", ()))
    }
    if near := closest(last, siblings):
        full = dotted((*path[:-1], siblings[near]))
        return f"unknown key; closest: {full}"
    full = find_key(last)
    path_of_full = tuple(full.split("."))
    if path_of_full[-1] == last or (
        full and _accepts(values, path_of_full, value)
    ):
        return f"unknown key; closest: {full}"
    own = {siblings[name]: None for name in siblings}
    return f"unknown key; known: {', '.join(own)}"


def unused(config: Config) -> Iterator[Problem]:
    """Yields the keys that are set but mean nothing beside the others."""
    for section in schema()["properties"]:
        for name, prop in at((section,), schema())[0]["properties"].items():
            value = getattr(getattr(config, section), name)
            if value == prop.get("default"):
                continue
            for key, wanted in prop.get("only", {}).items():
                other, field = key.split(".")
                actual = getattr(getattr(config, other), field)
                allowed = wanted if isinstance(wanted, list) else [wanted]
                if actual not in allowed:
                    values = " or ".join(map(show, allowed))
                    full = f"{section}.{name}"
                    yield Problem(
                        config.origin(full),
                        full,
                        f"{show(value)}: has a meaning only with "
                        f"{key}={values}, and {key} is {show(actual)} "
                        f"({config.origin(key)}); leave it out, or nearest: "
                        f"{show(prop['default'])}",
                    )
