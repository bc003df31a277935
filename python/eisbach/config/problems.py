"""What is wrong with values, and which nearby value or key would do.

Nothing is offered that the rules were not tried on: a value that is said to
work does, beside the other values of the same configuration.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Collection, Iterator, Set
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from eisbach.config.errors import ConfigError, Problem
from eisbach.config.root import Config, schema
from eisbach.config.rules import Schema, at, candidates, is_section, rule, show
from eisbach.config.section import SAID, Section, schema_of
from eisbach.config.tree import COMMAND_LINE, Path, Tree, dotted

Root = TypeVar("Root", bound=Section)
# How alike two words are at least, for one to be taken for the other.
_ALIKE = 0.7


def validate(
    tree: Tree, model: type[Root] = Config
) -> tuple[Root | None, list[Problem]]:
    """Checks types, ranges and names; returns the problems, all of them.

    Args:
      tree: What was read.
      model: The sections that it may have.
    """
    root = schema_of(model)
    values = {
        name: {} if value is None and is_section(at((name,), root)) else value
        for name, value in tree.values.items()
    }
    try:
        return model.model_validate(values), []
    except ValidationError as error:
        found = _by_path(error, values)
        wrong = _Wrong(tree, values, model, root, found.keys())
        return None, [
            Problem(tree.origin(path), dotted(path), words)
            if kind == SAID
            else Problem(
                tree.origin(path), dotted(path), wrong.says(kind, path)
            )
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
        elif not (last and kind in ("missing", SAID)):
            continue
        path = (*path, part)
    return path


@dataclass(frozen=True)
class _Wrong:
    """Values of which some are wrong, and what they should be.

    Attributes:
      tree: Where they are from.
      values: Of the sections; one without keys is empty.
      model: The sections.
      root: Their schema.
      wrong: Paths of what is wrong.
    """

    tree: Tree
    values: dict[str, Any]
    model: type[Section]
    root: Schema
    wrong: Set[Path]

    def says(self, kind: str, path: Path) -> str:
        """Says what is wrong at a path, and what would work."""
        if kind == "extra_forbidden":
            return self._unknown(path)
        schemas = at(path, self.root)
        must = f"must be {rule(schemas, self.root)}"
        if kind == "missing":
            return f"missing; it has no default and {must}"
        value = self._value(path)
        if len(path) == 1 and is_section(schemas):
            allowed = ", ".join(schemas[0]["properties"])
            return f"{show(value)} is no section; it holds the keys {allowed}"
        message = f"{show(value)}: {must}"
        for near in candidates(value, schemas, _words(path, self.root)):
            if self._accepts(path, near):
                return f"{message}; nearest: {show(near)}"
        default = default_of(path, self.root)
        if default is not None and self._accepts(path, default):
            message += f"; default: {show(default)}"
        return message

    def _value(self, path: Path) -> Any:
        value: Any = self.values
        for part in path:
            value = value[part]
        return value

    def _accepts(self, path: Path, value: Any) -> bool:
        """Whether no rule minds `value` at `path`, whatever else is wrong.

        Nor the value of another key beside it.
        """
        changed = Tree(copy.deepcopy(self.values))
        try:
            changed.set(path, value, {})
            self.model.model_validate(changed.values)
        except ConfigError:  # what holds it is no section
            return False
        except ValidationError as error:
            return all(
                wrong in self.wrong and wrong[: len(path)] != path
                for wrong in _by_path(error, changed.values)
            )
        return True

    def _unknown(self, path: Path) -> str:
        """Says which known key is meant, wherever in the file it lives."""
        last, value = str(path[-1]), self._value(path)
        full = find_key(last, self.root)
        path_of_full = tuple(full.split("."))
        fits = bool(full) and self._accepts(path_of_full, value)
        if len(path) == 1:
            known = self.root["properties"]
            sections = all(is_section(at((name,), self.root)) for name in known)
            what = "unknown section" if sections else "unknown key"
            if isinstance(value, dict) and (near := closest(last, known)):
                return f"{what}; closest: {near}"
            if fits:
                return f"{what}; closest: {full}"
            return f"{what}; known: {', '.join(known)}"
        siblings = {
            known: name
            for s in at(path[:-1], self.root)
            for name, prop in s.get("properties", {}).items()
            for known in (name, *prop.get("knownAs", ()))
        }
        if near := closest(last, siblings):
            full = dotted((*path[:-1], siblings[near]))
            return f"unknown key; closest: {full}"
        if fits or path_of_full[-1] == last:
            return f"unknown key; closest: {full}"
        own = {siblings[name]: None for name in siblings}
        return f"unknown key; known: {', '.join(own)}"


def _declared(path: Path, root: Schema) -> tuple[Schema, Path]:
    """Returns what was said of a key of a section, alternatives unread.

    Returns:
      That, and what of the path is inside of its value: items of a list.
    """
    cut = next((i for i, p in enumerate(path) if isinstance(p, int)), len(path))
    for section in at(path[: cut - 1], root):
        name = path[cut - 1]
        return section.get("properties", {}).get(name, {}), path[cut:]
    return {}, ()


def _words(path: Path, root: Schema) -> dict[str, str]:
    declared, inside = _declared(path, root)
    return {} if inside else declared.get("words", {})


def default_of(path: Path, root: Schema | None = None) -> Any:
    """Returns the default at a path, also inside of one; None without.

    Args:
      path: Of a key, or of an item of its value.
      root: The schema of its sections; those of a configuration without one.
    """
    declared, inside = _declared(path, root or schema())
    found = declared.get("default")
    for part in inside:
        if not isinstance(found, list) or not isinstance(part, int):
            return None
        found = found[part] if part < len(found) else None
    return found


def find_key(word: str, root: Schema | None = None) -> str:
    """Returns the key, such as `section.name`, that a word most likely means.

    Args:
      word: A name, also one of another program; empty when none is close.
      root: The schema of the sections; those of a configuration without one.
    """
    names: dict[str, str] = {}
    for full, prop in _keys(root or schema()):
        name = full.rpartition(".")[2]
        for known in (name, *prop.get("knownAs", ()), full):
            names.setdefault(known, full)
    return names[found] if (found := closest(word, names)) else ""


def _keys(root: Schema, path: Path = ()) -> Iterator[tuple[str, Schema]]:
    """Yields the keys of all sections, and what was said of them."""
    for section in at(path, root):
        for name, prop in section.get("properties", {}).items():
            here = (*path, name)
            if is_section(at(here, root)):
                yield from _keys(root, here)
            else:
                yield dotted(here), prop


def closest(word: str, words: Any) -> str:
    """Returns the word of `words` that is most like another; "" for none."""
    if word in words:
        return word
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=_ALIKE)
    return found[0] if found else ""


def unused(config: Config, free: Collection[str] = ()) -> Iterator[Problem]:
    """Yields the keys that are set but mean nothing beside the others.

    Args:
      config: Knows the origin of each key.
      free: Keys whose values are chosen later, where the command line does not
        give them; beside those all may have a meaning.
    """

    def is_free(key: str) -> bool:
        return key in free and config.origin(key) != COMMAND_LINE

    for section in schema()["properties"]:
        for name, prop in at((section,), schema())[0]["properties"].items():
            value = getattr(getattr(config, section), name)
            full = f"{section}.{name}"
            if value == prop.get("default") or is_free(full):
                continue
            for key, wanted in prop.get("only", {}).items():
                other, field = key.split(".")
                actual = getattr(getattr(config, other), field)
                allowed = wanted if isinstance(wanted, list) else [wanted]
                if actual not in allowed and not is_free(key):
                    values = " or ".join(map(show, allowed))
                    yield Problem(
                        config.origin(full),
                        full,
                        f"{show(value)}: has a meaning only with "
                        f"{key}={values}, and {key} is {show(actual)} "
                        f"({config.origin(key)}); leave it out, or nearest: "
                        f"{show(prop['default'])}",
                    )
