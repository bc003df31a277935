"""YAML 1.2 text as plain values that remember where each one was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from eisbach.config.errors import ConfigError, Problem

COMMAND_LINE = "command line"
PROGRAM = "program"
Path = tuple[str | int, ...]
_KINDS = {"null", "bool", "int", "float", "str", "timestamp", "map", "seq"}


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
        """Returns where `path`, or else the closest path above it, is from."""
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


class _Reader:
    """Turns the nodes of one document into a Tree, collecting problems."""

    def __init__(self, file: str, yaml: YAML):
        self.file = file
        self.yaml = yaml
        self.origins: dict[Path, str] = {}
        self.problems: list[Problem] = []
        self.open: set[int] = set()

    def origin(self, node: Node) -> str:
        if self.file == COMMAND_LINE:
            return self.file
        return f"{self.file}:{node.start_mark.line + 1}"

    def problem(self, node: Node, path: Path, message: str) -> None:
        self.problems.append(Problem(self.origin(node), dotted(path), message))

    def read(self, node: Node, path: Path) -> Any:
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
        return self.yaml.constructor.construct_object(node)

    def list(self, node: SequenceNode, path: Path) -> list[Any]:
        return [
            self.read(child, (*path, i)) for i, child in enumerate(node.value)
        ]

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for name_node, value_node in node.value:
            name = str(name_node.value)
            at = (*path, name)
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
        return result


def read_value(text: str, file: str, path: Path) -> tuple[Any, dict[Path, str]]:
    """Parses one YAML document.

    Args:
      text: The document.
      file: What to call it: a file's path, or COMMAND_LINE.
      path: Where the value will be put; origins are given below it.

    Returns:
      The value (None where the document is empty) and the origins.

    Raises:
      ConfigError: No YAML, a duplicate key, a tag, or a recursive alias.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
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
    value = reader.read(node, path)
    if reader.problems:
        raise ConfigError(reader.problems)
    return value, reader.origins
