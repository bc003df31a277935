"""YAML 1.2 text as plain values that remember where each one was written."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from eisbach.config.errors import ConfigError, Problem

COMMAND_LINE = "command line"
PROGRAM = "program"
Path = tuple[str | int, ...]
_KINDS = {"null", "bool", "int", "float", "str", "timestamp", "map", "seq"}
_MERGE = "tag:yaml.org,2002:merge"
# Far above what people write, and read in a second or two: a few bytes of
# aliases can stand for any number of values.
MOST_BYTES = 256 << 10
_MOST_VALUES = 20_000
_MOST_DEPTH = 40


def dotted(path: Path) -> str:
    """Spells a path as people write it: `data.train[0].weight`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@dataclass
class Tree:
    """A mapping with the origin (`file:line`) of each path in it."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)

    def origin(self, path: Path) -> str:
        """Returns where `path`, or else what is closest to it, is from."""
        if len(path) == 1 and path not in self.origins:  # one of its keys
            inner = (known for known in self.origins if known[:1] == path)
            path = next(inner, path)
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, "default")

    def set(self, path: Path, value: Any, origins: dict[Path, str]) -> None:
        """Puts `value` at `path`; mappings merge, all else is replaced.

        Raises:
          ConfigError: `path` leads through something that is no mapping and
            no list, or past the end of a list.
        """
        if isinstance(value, dict) and value and len(path) < 2:
            for name, child in value.items():
                self.set((*path, name), child, origins)
            return
        holder: Any = self.values
        for depth, part in enumerate(path[:-1]):
            if isinstance(holder, dict) and isinstance(part, str):
                if holder.get(part) is None:
                    holder[part] = {}
                holder = holder[part]
            else:
                holder = _item(holder, path[: depth + 1])
        if isinstance(holder, dict):
            holder[path[-1]] = value
        else:
            _item(holder, path)
            holder[path[-1]] = value
        for known in [p for p in self.origins if p[: len(path)] == path]:
            del self.origins[known]
        for known, origin in origins.items():
            if known[: len(path)] == path:
                self.origins[known] = origin


def _item(holder: Any, path: Path) -> Any:
    index = path[-1]
    if not isinstance(holder, list):
        kind = "key" if isinstance(index, str) else "item"
        what = f"{dotted(path[:-1])} has no {kind} to change"
    elif not isinstance(index, int):
        what = f"{dotted(path[:-1])} is a list: give a number, not {index!r}"
    elif not 0 <= index < len(holder):
        what = f"the list has {len(holder)} items, counted from 0"
    else:
        return holder[index]
    raise ConfigError([Problem(COMMAND_LINE, dotted(path), what)])


class _TooLargeError(Exception):
    """A document holds too many values, its aliases followed."""


class _Reader:
    """Turns the nodes of one document into a Tree, collecting problems."""

    def __init__(self, file: str, yaml: YAML):
        self.file = file
        self.yaml = yaml
        self.origins: dict[Path, str] = {}
        self.problems: list[Problem] = []
        self.open: set[int] = set()
        self.values = 0

    def origin(self, node: Node) -> str:
        if self.file == COMMAND_LINE:
            return self.file
        return f"{self.file}:{node.start_mark.line + 1}"

    def problem(self, node: Node, path: Path, message: str) -> None:
        self.problems.append(Problem(self.origin(node), dotted(path), message))

    def count(self, node: Node, path: Path) -> None:
        self.values += 1
        if self.values > _MOST_VALUES:
            message = (
                f"stands for more than {_MOST_VALUES:,} values, its aliases "
                "followed"
            )
        elif len(self.open) > _MOST_DEPTH:
            message = f"is nested in more than {_MOST_DEPTH} lists and mappings"
        else:
            return
        self.problem(node, path[:2], message)
        raise _TooLargeError

    def read(self, node: Node, path: Path) -> Any:
        self.count(node, path)
        self.origins[path] = self.origin(node)
        kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
        if kind not in _KINDS:
            self.problem(node, path, f"the tag {node.tag} is not allowed")
            return None
        if isinstance(node, (MappingNode, SequenceNode)):
            if id(node) in self.open:
                self.problem(node, path, "an alias that contains itself")
                return None
            self.open.add(id(node))
            inner = self.mapping if isinstance(node, MappingNode) else self.list
            value = inner(node, path)
            self.open.discard(id(node))
            return value
        if kind == "timestamp":  # YAML 1.2 has none
            return node.value
        try:
            value = self.yaml.constructor.construct_object(node)
            if kind == "float" and (fault := _lost(node.value, value)):
                self.problem(node, path, fault)
            return value
        except ValueError:  # of a number
            message = f"{node.value:.20}...: is no number that can be read"
            self.problem(node, path, message)
            return None

    def list(self, node: SequenceNode, path: Path) -> list[Any]:
        return [
            self.read(child, (*path, i)) for i, child in enumerate(node.value)
        ]

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: list[Node] = []
        for name_node, value_node in node.value:
            if not isinstance(name_node, ScalarNode):
                self.problem(name_node, path, "a key is a word")
                continue
            name = str(name_node.value)
            at = (*path, name)
            if name_node.tag == _MERGE:
                merged.append(value_node)
                continue
            if name in result:
                self.problem(
                    name_node,
                    at,
                    f"duplicate key, first given on line {lines[name]}; keep "
                    "one of them",
                )
                continue
            lines[name] = name_node.start_mark.line + 1
            result[name] = self.read(value_node, at)
            # A value may start lines below its key; people look for the key.
            self.origins[at] = self.origin(name_node)
        for value_node in merged:
            self.merge(value_node, path, result)
        return result

    def merge(self, node: Node, path: Path, result: dict[str, Any]) -> None:
        """Adds the keys of `<<: node` that `result` has not; first ones win."""
        parts = node.value if isinstance(node, SequenceNode) else [node]
        for part in parts:
            if not isinstance(part, MappingNode):
                message = "`<<` takes a mapping or a list of them"
                self.problem(part, (*path, "<<"), message)
                continue
            outer, self.origins = self.origins, {}
            value = self.read(part, path) or {}
            inner, self.origins = self.origins, outer
            added = {k: v for k, v in value.items() if k not in result}
            result.update(added)
            for known, origin in inner.items():
                if known[len(path) :] and known[len(path)] in added:
                    self.origins[known] = origin


def _lost(text: str, value: float) -> str:
    """Says where a number that was written is none that can be held."""
    digits = text.lower().partition("e")[0]
    if not any(digit in digits for digit in "123456789"):
        return ""
    if value == 0:
        return f"{text:.40}: is too close to 0 for a number of 64 bits"
    if math.isinf(value):
        return f"{text:.40}: is too large for a number of 64 bits"
    return ""


def read_value(text: str, file: str, path: Path) -> tuple[Any, dict[Path, str]]:
    """Parses one YAML document.

    Args:
      text: The document.
      file: What to call it: a file's path, or COMMAND_LINE.
      path: Where the value will be put; origins are given below it.

    Returns:
      The value (None where the document is empty) and the origins.

    Raises:
      ConfigError: No YAML, a duplicate key, a tag, a recursive alias, or more
        than a configuration can hold.
    """
    if len(text) > MOST_BYTES:
        message = f"longer than the {MOST_BYTES:,} bytes of a configuration"
        raise ConfigError([Problem(file, dotted(path), message)])
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
    except RecursionError:
        message = f"is nested in more than {_MOST_DEPTH} lists and mappings"
        raise ConfigError([Problem(file, dotted(path), message)]) from None
    except YAMLError as error:
        origin, message = file, str(error)
        if isinstance(error, MarkedYAMLError):
            message = " ".join(filter(None, [error.context, error.problem]))
            if error.problem_mark and file != COMMAND_LINE:
                origin = f"{file}:{error.problem_mark.line + 1}"
        problem = Problem(origin, dotted(path), f"not YAML: {message}")
        raise ConfigError([problem]) from None
    if node is None:
        return None, {}
    reader = _Reader(file, yaml)
    value = None
    with contextlib.suppress(_TooLargeError):  # told in the problems
        value = reader.read(node, path)
    if reader.problems:
        raise ConfigError(reader.problems)
    return value, reader.origins
