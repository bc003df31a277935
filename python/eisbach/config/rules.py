"""Rules of keys in plain words, and values near one that breaks them.

Both read the JSON schema that pydantic makes of the declarations, so that a
rule is written once, as the type of its key.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from eisbach.config.tree import Path

Schema = dict[str, Any]
# Ends of the integer types of the core: no rule that people must read.
_MACHINE = (2**31 - 1, 2**63 - 1)


def alternatives(schema: Schema, root: Schema) -> list[Schema]:
    """Returns the schemas of which a value must match one, references read."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return [a for s in schema["anyOf"] for a in alternatives(s, root)]
    return [schema]


def at(path: Path, root: Schema) -> list[Schema]:
    """Returns the alternatives for the value at `path`; none if unknown."""
    found = [root]
    for part in path:
        step = []
        for schema in found:
            if isinstance(part, int):
                inner = schema.get("items")
            else:
                inner = schema.get("properties", {}).get(part)
                # Of sections by names that are no keys.
                inner = inner or schema.get("additionalProperties")
            if inner:
                step += alternatives(inner, root)
        found = step
    return found


def is_section(schemas: list[Schema]) -> bool:
    """Whether a value is one of declared keys, and nothing else."""
    return bool(schemas) and all("properties" in one for one in schemas)


def show(value: Any) -> str:
    """Spells a value as YAML on one line."""
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, str) and _is_plain(value):
        return value
    if isinstance(value, dict):
        items = (f"{show(k)}: {show(v)}" for k, v in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(show, value)) + "]"
    return json.dumps(value, ensure_ascii=False, default=str)


def _is_plain(text: str) -> bool:
    """Whether YAML 1.2 reads the text as itself without quotes."""
    if not re.fullmatch(r"\w[\w./-]*", text, re.ASCII):
        return False
    if text.lower() in ("true", "false", "null"):
        return False
    for number in (float, lambda t: int(t, 0)):
        try:
            number(text)
        except ValueError:
            continue
        return False
    return not re.fullmatch(r"[0-9_]+", text)


def rule(schemas: list[Schema], root: Schema) -> str:
    """Says what values the alternatives allow, as in "an integer >= 1"."""
    words: list[str] = []
    for schema in schemas:
        words += [w for w in _rule(schema, root) if w not in words]
    return " or ".join(words)


def _rule(schema: Schema, root: Schema) -> list[str]:
    if "const" in schema:
        return [f"`{schema['const']}`"]
    if "enum" in schema:
        return [f"`{value}`" for value in schema["enum"]]
    kind = schema.get("type")
    if kind == "array":
        items = rule(alternatives(schema["items"], root), root)
        least, most = schema.get("minItems"), schema.get("maxItems")
        count = f"{least} x " if least and least == most else ""
        return [f"a list of {count}({items})"]
    if kind == "null":  # what leaves a key out, which needs no word
        return []
    if kind == "object" and "properties" not in schema:
        inner = rule(alternatives(schema["additionalProperties"], root), root)
        return ["{name: " + inner + ", ...}"]
    if kind == "object":
        return ["{" + ", ".join(schema["properties"]) + "}"]
    if kind in ("integer", "number"):
        name = "an integer" if kind == "integer" else "a number"
        return [name + _bounds(schema)]
    return {"boolean": ["`true`", "`false`"], "string": ["text"]}[str(kind)]


def _bounds(schema: Schema) -> str:
    names = {
        "minimum": ">=",
        "exclusiveMinimum": ">",
        "maximum": "<=",
        "exclusiveMaximum": "<",
    }
    parts = []
    for name, sign in names.items():
        bound = schema.get(name)
        if bound is not None and bound not in _MACHINE:
            parts.append(f"{sign} {bound:.15g}")
    return " " + " and ".join(parts) if parts else ""


def candidates(
    value: Any, schemas: list[Schema], words: dict[str, str]
) -> Iterator[Any]:
    """Yields values near one that does not fit; they may not fit either.

    Args:
      value: That does not.
      schemas: The alternatives that it should match.
      words: What values of other programs mean here.
    """
    text = str(value).lower()
    if text in words:
        yield words[text]
        return
    for schema in schemas:
        kind = schema.get("type")
        known = schema.get("enum") or [schema.get("const")]
        if kind in ("integer", "number"):
            yield from _near_number(value, schema)
        elif kind == "boolean":
            yield from _near_bool(text)
        elif kind == "string" and known == [None]:
            if isinstance(value, (int, float)):
                yield str(value)
        elif isinstance(value, str):
            by_text = {str(word).lower(): word for word in known}
            close = difflib.get_close_matches(text, by_text, n=1)
            yield from (by_text[word] for word in close)


def _near_number(value: Any, schema: Schema) -> Iterator[int | float]:
    if isinstance(value, str):
        try:
            value = float(value) if "." in value or "e" in value else int(value)
        except ValueError:
            return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    if value != value:  # NaN is near none
        return
    least, most = schema.get("minimum", value), schema.get("maximum", value)
    if value == math.inf and most in (math.inf, *_MACHINE):
        return
    value = min(max(value, least), most)
    if value != -math.inf:
        yield round(value) if schema["type"] == "integer" else value


def _near_bool(text: str) -> Iterator[bool]:
    if text in ("yes", "on", "y", "1"):
        yield True
    if text in ("no", "off", "n", "0"):
        yield False
