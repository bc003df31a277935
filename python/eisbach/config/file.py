"""A configuration file, with the files that it builds on."""

from __future__ import annotations

import os
from typing import Any

from eisbach.config.errors import ConfigError, Problem
from eisbach.config.rules import show
from eisbach.config.tree import MOST_BYTES, Path, Tree, read_value
from eisbach.files import read_regular

# A section of this name holds anchors for the others and is else ignored.
EXTRA = "x-"
BASE = "base"


def read_file(file: str, *, section: str = "model") -> Tree:
    """Reads a YAML file over the one that its `base` names, and so on.

    Args:
      file: Its path; `base` is seen from the folder of the file.
      section: One that such a file may have, to be told of.

    Raises:
      ConfigError: A file cannot be read, is no mapping, or is its own base.
    """
    chain: list[tuple[dict[str, Any], dict[Path, str]]] = []
    readers: dict[str, str] = {}
    origin = ""
    while file:
        here = os.path.realpath(file)
        if here in readers:
            message = f"{file} is among the files that build on it already"
            raise ConfigError([Problem(origin, BASE, message)])
        readers[here] = file
        try:
            values, origins = _read_one(file, section)
        except ConfigError as error:
            if not origin:
                raise
            told = [Problem(origin, BASE, str(p)) for p in error.problems]
            raise ConfigError(told) from None
        chain.append((values, origins))
        origin = origins.get((BASE,), "")
        file = _base(values, origin, file)
    tree = Tree()
    for values, origins in reversed(chain):
        _lay_over(tree, values, origins)
    return tree


def _base(values: dict[str, Any], origin: str, file: str) -> str:
    """Takes `base` out of a file; returns its path, empty for none."""
    if BASE not in values:
        return ""
    base = values.pop(BASE)
    if not isinstance(base, str) or not base:
        message = f"{show(base)}: must be the path of a file"
        raise ConfigError([Problem(origin, BASE, message)])
    return os.path.join(os.path.dirname(file), os.path.expanduser(base))


def _lay_over(
    tree: Tree, values: dict[str, Any], origins: dict[Path, str]
) -> None:
    for section, keys in values.items():
        if section.startswith(EXTRA):
            continue
        at = (section,)
        if keys is None:  # a section without keys changes none
            tree.values.setdefault(section, None)
        else:
            tree.set(at, keys, origins)
        tree.origins[at] = origins[at]


def _read_one(
    file: str, section: str
) -> tuple[dict[str, Any], dict[Path, str]]:
    value, origins = read_value(_text(file), file, ())
    if value is None:
        return {}, origins
    if not isinstance(value, dict):
        message = (
            f"{show(value)[:40]}: a file holds sections such as `{section}:`"
        )
        raise ConfigError([Problem(f"{file}:1", "", message)])
    return value, origins


def _text(file: str) -> str:
    try:
        return read_regular(file, most=MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        message = f"cannot read: {error.strerror}"
    except UnicodeDecodeError as error:
        message = f"not UTF-8 at byte {error.start}"
    except ValueError as error:
        message = str(error).removeprefix(f"{file}: ")
    raise ConfigError([Problem(file, "", message)])
