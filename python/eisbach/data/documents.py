"""Documents on disk: text files, folders of them, and JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path


def documents(
    inputs: Sequence[Path], *, pattern: str = "*.txt", field: str = "text"
) -> Iterator[tuple[str, bytes]]:
    """Yields the name and the text of each document.

    Args:
      inputs: Text files (a document each), folders (every file below that
        matches `pattern`, sorted), `.jsonl` files (a document a line).
      pattern: Names of files taken from folders.
      field: Field of a JSON line that holds the text.

    Raises:
      ValueError: A path does not exist, a folder holds no such file, a line
        is no JSON object with that field.
    """
    for path in inputs:
        if path.is_dir():
            found = sorted(p for p in path.rglob(pattern) if p.is_file())
            if not found:
                raise ValueError(f"{path}: no file matches {pattern!r}")
            for file in found:
                yield str(file.relative_to(path)), file.read_bytes()
        elif path.suffix == ".jsonl":
            yield from _lines(path, field)
        elif path.is_file():
            yield str(path), path.read_bytes()
        else:
            raise ValueError(f"{path}: no such file or folder")


def _lines(path: Path, field: str) -> Iterator[tuple[str, bytes]]:
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}:{number}: no JSON: {error}") from None
            text = record.get(field) if isinstance(record, dict) else None
            if not isinstance(text, str):
                raise ValueError(
                    f"{path}:{number}: no text in the field {field!r}"
                )
            yield f"{path}:{number}", text.encode()
