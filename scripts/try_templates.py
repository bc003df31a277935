#!/usr/bin/env python3
"""Tries chat templates: is what would be trained what the assistant says?

    python scripts/try_templates.py FOLDER [--markdown]

FOLDER holds `*.jinja` files, such as `vendor/llama.cpp/models/templates` of the
source of llama-cpp-python. Each template writes the same few conversations,
whose turns hold words that are nowhere else, and the mask is judged by these
words alone: all of the assistant's are trained, in order, nobody else's is, and
each answer has an end that is trained, or is the last of its document. The
judge reads what is trained from tokens, and knows nothing of prefixes.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eisbach.data.chat_template import ChatTemplate, TemplateRefuses
from eisbach.data.conversations import Conversation, read_conversation
from eisbach.data.masks import encode_marked
from eisbach.data.spans import Marker
from eisbach.data.tokenizer import ByteTokenizer

_TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
# Of models whose turns are ended by a token that their template does not name,
# or that looks like none; from their tokenizer_config or generation_config.
_ENDS = {
    "Apertus": ("<|assistant_end|>",),
    "ByteDance-Seed": ("<seed:eos>",),
    "GLM-4": ("<|endoftext|>", "<|user|>", "<|observation|>"),
    "MiniMax": ("[e~[",),
    "Reka": ("<sep>",),
    "llama-cpp-rwkv": ("\n\n",),
    "poolside": ("</assistant>",),
    "tencent-Hy3": ("<\uff5chy_eos:opensource\uff5c>",),
}
# What looks like a special token in the text of a template.
_SPECIAL = re.compile(
    "<[|\uff5c][^\\s'\"|\uff5c]+[|\uff5c]>"
    r"|\[/?[A-Z_]+\]|</?[a-z]+_of_[a-z]+>|</s>|<s>"
)
_TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "where"}},
            "required": ["city"],
        },
    },
}


def conversations() -> dict[str, dict[str, Any]]:
    """Returns records by name; `Aw...` is the assistant's, `Uw...` others'."""

    def turn(role: str, word: str, **more: Any) -> dict[str, Any]:
        return {"role": role, "content": f"{word} said {word}.", **more}

    talk = [
        turn("user", "Uwone"),
        turn("assistant", "Awone"),
        turn("user", "Uwtwo"),
        turn("assistant", "Awtwo"),
    ]
    call = {
        "id": "abcdefghi",
        "type": "function",
        "function": {"name": "weather", "arguments": {"city": "Awcity"}},
    }
    tools = [
        turn("user", "Uwone"),
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {
            "role": "tool",
            "name": "weather",
            "tool_call_id": "abcdefghi",
            "content": '{"sky": "Uwsky"}',
        },
        turn("assistant", "Awtwo"),
    ]
    return {
        "talk": {"messages": talk},
        "system": {"messages": [turn("system", "Uwsys"), *talk]},
        "tools": {"messages": tools, "tools": [_TOOL]},
    }


@dataclass(frozen=True)
class Result:
    """What became of a conversation: `right`, `refused`, `WRONG`, and why."""

    what: str
    why: str = ""


def judge(
    conversation: Conversation, trained: list[str], specials: list[str]
) -> str:
    """Returns what is wrong with the texts that are trained; empty: nothing."""
    whole = "".join(trained)
    words = re.findall(r"[AU]w[a-z]+", whole)
    said = [w for m in conversation.messages for w in _words(m)]
    if words != said:
        return f"trained words are {words}, said were {said}"
    if "{'" in whole:
        return "arguments are written as Python, not JSON"
    for text in trained:
        if specials and not any(text.endswith(s) for s in specials):
            return f"{text[-24:]!r} does not end a turn"
    return ""


def _words(message: dict[str, Any]) -> list[str]:
    if message["role"] != "assistant":
        return []
    calls = message.get("tool_calls", ())
    text = message["content"] + "".join(
        call["function"]["arguments"]["city"] for call in calls
    )
    return re.findall(r"Aw[a-z]+", text)


def tried(path: Path) -> dict[str, Result]:
    """Returns the result of each conversation."""
    text = path.read_text()
    ends = next((e for n, e in _ENDS.items() if path.name.startswith(n)), ())
    tokens = {**_TOKENS, "eos_token": ends[0]} if ends else _TOKENS
    specials = sorted({*_SPECIAL.findall(text), *tokens.values(), *ends})
    try:
        template = ChatTemplate(text, name=path.name, tokens=tokens, ends=ends)
    except ValueError as error:
        return {name: Result("refused", str(error)) for name in conversations()}
    marker = Marker(template, "assistant", specials)
    return {
        name: _one(marker, read_conversation(record, "chat", {}), specials)
        for name, record in conversations().items()
    }


def _one(
    marker: Marker, conversation: Conversation, specials: list[str]
) -> Result:
    try:
        documents = marker.documents(conversation)
    except TemplateRefuses as error:
        return Result("refused", str(error))
    trained = []
    for ids, mask in encode_marked(ByteTokenizer(), documents):
        runs = "".join("x" if m else " " for m in mask)
        for run in re.finditer("x+", runs):
            piece = bytes(ids[run.start() : run.end()].astype("u1").tolist())
            trained.append(piece.decode())
    wrong = judge(conversation, trained, specials)
    note = f"{len(documents)} documents" if len(documents) > 1 else ""
    return Result("WRONG", wrong) if wrong else Result("right", note)


def table(
    results: dict[str, dict[str, Result]], markdown: bool
) -> Iterator[str]:
    """Yields the lines of a table, and the reasons below."""
    names = list(conversations())
    width = max(map(len, results), default=1)
    rows = [("template", *names)]
    if markdown:
        rows.append(("---",) * (len(names) + 1))
    for template, found in results.items():
        rows.append(
            (template, *(_cell(found[name], markdown) for name in names))
        )
    for row in rows:
        if markdown:
            yield "| " + " | ".join(row) + " |"
        else:
            yield "  ".join(
                [row[0].ljust(width), *(c.ljust(22) for c in row[1:])]
            )
    if markdown:
        return
    for template, found in results.items():
        for name, result in found.items():
            if result.what != "right":
                yield f"{template}: {name}: {result.what}: {result.why}"


def _cell(result: Result, markdown: bool) -> str:
    more = result.what != "refused" and result.why
    return (
        f"{result.what} ({result.why})"
        if more and not markdown
        else result.what
    )


def main() -> int:
    """Prints the table; 1 where a mask is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.jinja"))
    if not files:
        print(f"{options.folder}: no *.jinja", file=sys.stderr)
        return 1
    results = {path.stem: tried(path) for path in files}
    for line in table(results, options.markdown):
        print(line)
    counts: dict[str, int] = {}
    for found in results.values():
        for result in found.values():
            counts[result.what] = counts.get(result.what, 0) + 1
    print()
    print(
        f"{len(files)} templates: "
        + ", ".join(f"{n} {w}" for w, n in counts.items())
    )
    return "WRONG" in counts


if __name__ == "__main__":
    raise SystemExit(main())
