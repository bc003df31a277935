"""Rules of keys in plain words, and the nearest value that keeps them.

Both read the JSON schema that pydantic makes of the declarations, so that a
rule is written once, as the type of its key.
"""

from __future__ import annotations

import difflib
import json
import math
import re
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
            if inner:
                step += alternatives(inner, root)
        found = step
    return found


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
        count = f"{least} x " if least == most else ""
        return [f"a list of {count}({items})"]
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
            parts.append(f"{sign} {bound}")
    return " " + " and ".join(parts) if parts else ""


def nearest(value: Any, schemas: list[Schema]) -> str:
    """Returns the nearest value that works, as YAML; empty if none is near."""
    for schema in schemas:
        kind = schema.get("type")
        words = schema.get("enum") or [schema.get("const")]
        if kind in ("integer", "number"):
            found = _nearest_number(value, schema)
        elif kind == "boolean":
            found = _nearest_bool(value)
        elif kind == "string" and words == [None]:
            plain = isinstance(value, (int, float)) and str(value)
            found = f'"{value}"' if plain else None
        elif isinstance(value, str):
            known = {str(word).lower(): str(word) for word in words}
            close = difflib.get_close_matches(value.lower(), known, n=1)
            found = known[close[0]] if close else None
        else:
            found = None
        if found is not None:
            return found
    return ""


def _nearest_number(value: Any, schema: Schema) -> str | None:
    if isinstance(value, str):
        try:
            value = float(value) if "." in value or "e" in value else int(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if schema["type"] == "integer":
        value = round(value)
    if value <= schema.get("exclusiveMinimum", -math.inf):
        return f"any number > {schema['exclusiveMinimum']}"
    if value >= schema.get("exclusiveMaximum", math.inf):
        return f"any number < {schema['exclusiveMaximum']}"
    value = max(value, schema.get("minimum", value))
    value = min(value, schema.get("maximum", value))
    return show(value)


def _nearest_bool(value: Any) -> str | None:
    if str(value).lower() in ("yes", "on", "y", "1"):
        return "true"
    if str(value).lower() in ("no", "off", "n", "0"):
        return "false"
    return None
