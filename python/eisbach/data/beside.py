"""What lies beside a tokenizer and belongs to it: the one list of names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

TEMPLATE = "chat_template.jinja"
CONFIG = "tokenizer_config.json"
GENERATION = "generation_config.json"
_FOLDER = "additional_chat_templates"
FOR_TOOLS = f"{_FOLDER}/tool_use.jinja"
# What templates need, as text.
OF_TEMPLATES = (TEMPLATE, FOR_TOOLS, CONFIG, GENERATION)
# What goes along with a tokenizer, besides `tokenizer.json`.
NAMES = (
    CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    TEMPLATE,
    "chat_template.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    GENERATION,
)


def names_beside(folder: Path) -> Iterator[str]:
    """Yields the names of what is there, relative to the folder."""
    for name in NAMES:
        if (folder / name).is_file():
            yield name
    for path in sorted((folder / _FOLDER).glob("*.jinja")):
        yield str(path.relative_to(folder))
