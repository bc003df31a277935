#!/usr/bin/env python3
"""Writes what is made from declarations of keys.

    python scripts/generate_docs.py           # writes the files
    python scripts/generate_docs.py --check   # fails if one is not current

Makes docs/configuration.md and docs/machines.md for people, and
configs/schema.json for editors.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "python"))

from eisbach.config import file_schema, schema  # noqa: E402
from eisbach.config.rules import (  # noqa: E402
    alternatives,
    at,
    is_section,
    rule,
    show,
)
from eisbach.config.section import schema_of  # noqa: E402
from eisbach.hardware import HardwareFile  # noqa: E402

INTRODUCTION = """\
# Configuration

<!-- Made by scripts/generate_docs.py from python/eisbach/config. -->

A run is one YAML file, made of the sections below. Every key has a default,
so a file says only what it changes. Keys beside the file change single
values, written in YAML:

```
eisbach train configs/gpt_bytes.yaml model.layers=8 optimizer.betas=[0.9,0.99]
eisbach config configs/gpt_bytes.yaml model.layers=8   # what that resolves to
eisbach config configs/gpt_bytes.yaml --check --ranks 4
```

- `eisbach config` prints every key with the origin of its value: `default`,
  `file:line`, `command line`, or `derived` with the reason. A run folder
  holds the same text as `config.yaml`, which is itself a configuration.
- YAML is read as version 1.2: `1e-5` is a number, `NO` is text, `010` is ten.
- Reading is strict. A key that is unknown or given twice, a value of the
  wrong type or out of range, and a key that has no meaning beside the others
  stop the program before anything is allocated, with file, line, key, value,
  rule, and the nearest value that works, which has been tried.
- `eisbach config --check` does all that `eisbach train` checks before it
  makes anything: sizes, layout, tokenizer, token files, that texts are there
  and that `run.dir` can be written. Its exit status is 1 where something does
  not fit.
- A file may build on another: `base: common.yaml`, seen from its own folder,
  and that one on a further one. The keys of the file itself win; the origins
  show which file a value is from.
- YAML's anchors, aliases and merge keys (`<<`) work. A section whose name
  begins with `x-` is a place for anchors and is else ignored:

  ```yaml
  x-small: &small {layers: 2, hidden: 64}
  model:
    <<: *small
    heads: 4
  ```
- Paths may begin with `~`, the home folder.
- A dotted option reaches into lists: `data.train[0].weight=2`. An option for
  a whole section, `model={layers: 2, hidden: 64}`, changes the keys it names.
- For completion and checks in an editor, start a file with
  `# yaml-language-server: $schema=schema.json` (the path of
  `configs/schema.json` from that file).
"""


MACHINES = """\
# Descriptions of machines

<!-- Made by scripts/generate_docs.py from python/eisbach/hardware. -->

What [`eisbach plan`](planning.md) reckons with is a YAML file of the sections
below. `configs/hardware` has some; copy the one that is most alike, change its
figures, and name it: `--hardware mine.yaml`.

- Of a GPU its data sheet says what `chip`, `matmul.units` (multiprocessors),
  `domain` and `network` hold. The other figures are coefficients, fitted to
  steps that were published or measured by `eisbach plan --calibrate`: start
  with those of the machine that is most alike.
- Keys without a default must be there. A key that is unknown, a value out of
  range and keys that contradict one another are refused with file, line, key,
  value, rule and the nearest value that works.
- `base: configs/hardware/dgx-h100.yaml`, a path seen from the file, takes all
  from there that the file does not say itself.
- `source` says in each section where its figures are from; pages show it.
"""


def machines_page() -> str:
    """Returns docs/machines.md."""
    root = schema_of(HardwareFile)
    parts = [MACHINES, "## The file\n", _table(root["properties"], root)]
    parts += _sections((), root, set())
    return "\n".join(parts)


def _sections(
    path: tuple[str, ...], root: dict, told: set[str]
) -> Iterator[str]:
    """Yields what is in the sections below one, each kind of them once."""
    for section in at(path, root):
        names = [*section.get("properties", ())]
        if isinstance(section.get("additionalProperties"), dict):
            names.append("NAME")
        for name in names:
            here = (*path, name)
            for inner in at(here, root):
                if is_section([inner]) and inner["title"] not in told:
                    told.add(inner["title"])
                    yield f"## `{'.'.join(here)}`\n\n{inner['description']}\n"
                    yield _table(inner["properties"], root)
            yield from _sections(here, root, told)


def configuration_page() -> str:
    """Returns docs/configuration.md."""
    root = schema()
    parts = [INTRODUCTION]
    for section in root["properties"]:
        declared = at((section,), root)[0]
        parts.append(f"## `{section}`\n\n{declared['description']}\n")
        parts.append(_table(declared["properties"], root))
        tables: dict[str, list[str]] = {}
        for name, prop in declared["properties"].items():
            for item in _items(prop, root):
                table = _table(item["properties"], root)
                tables.setdefault(table, []).append(f"`{section}.{name}`")
        for table, names in tables.items():
            parts += [f"Each item of {' and '.join(names)}:\n", table]
    return "\n".join(parts)


def _items(prop: dict, root: dict) -> list[dict]:
    lists = [s for s in alternatives(prop, root) if s.get("type") == "array"]
    inner = [a for s in lists for a in alternatives(s["items"], root)]
    return [s for s in inner if s.get("type") == "object"]


def _table(properties: dict, root: dict) -> str:
    rows = ["| key | values | default | meaning |", "| --- | --- | --- | --- |"]
    for name, prop in properties.items():
        schemas = alternatives(prop, root)
        values = rule(schemas, root)
        default = f"`{show(prop['default'])}`" if "default" in prop else ""
        # One that is the section's own is not said twice.
        doc = prop.get("description") or schemas[0]["description"]
        for key, wanted in prop.get("only", {}).items():
            ones = wanted if isinstance(wanted, list) else [wanted]
            doc += f" Only with `{key}: {' or '.join(map(str, ones))}`."
        rows.append(f"| `{name}` | {values} | {default} | {doc} |")
    return "\n".join(rows) + "\n"


def outputs() -> dict[Path, str]:
    """Returns each file that is made, with its text."""
    return {
        ROOT / "docs" / "configuration.md": configuration_page(),
        ROOT / "docs" / "machines.md": machines_page(),
        ROOT / "configs" / "schema.json": (
            json.dumps(file_schema(), indent=2) + "\n"
        ),
    }


def main() -> int:
    """Writes or checks; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if stale"
    )
    check = parser.parse_args().check
    stale = False
    for path, text in outputs().items():
        old = path.read_text() if path.exists() else ""
        if check and old != text:
            stale = True
            name = str(path.relative_to(ROOT))
            sys.stdout.writelines(
                difflib.unified_diff(
                    old.splitlines(True), text.splitlines(True), name, "made"
                )
            )
        elif not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
