"""Conversations in records: which fields they are in, and whether they hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Shape = Literal[
    "auto", "text", "chat", "completion", "alpaca", "sharegpt", "preference"
]
Message = dict[str, Any]

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
# What each shape reads, by the names that `data.columns` may change.
FIELDS: dict[str, tuple[str, ...]] = {
    "chat": ("messages", "tools"),
    "completion": ("prompt", "completion", "tools"),
    "alpaca": ("instruction", "input", "output", "system"),
    "sharegpt": ("conversations", "from", "value", "system", "tools"),
    "preference": ("prompt", "chosen", "rejected", "tools"),
}
# Fields without which a record is no such one.
_NEEDED = {
    "chat": ("messages",),
    "sharegpt": ("conversations",),
    "completion": ("prompt", "completion"),
    "alpaca": ("instruction", "output"),
    "preference": ("chosen", "rejected"),
}
# Names that ShareGPT's files have for roles.
_SPEAKERS = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "assistant": "assistant",
    "function_call": "assistant",
    "system": "system",
    "tool": "tool",
    "observation": "tool",
    "function_response": "tool",
}


class BadRecord(ValueError):  # noqa: N818
    """A record is no conversation; says what is wrong."""


@dataclass(frozen=True)
class Conversation:
    """Turns of talk, or two texts of which the second follows the first.

    Attributes:
      messages: Each with `role` and `content`; empty for plain texts.
      tools: Descriptions of the functions that there were.
      answer: Which message is the first of the completion; None where the
        record does not say.
      prompt: Of plain texts: what comes first.
      completion: Of plain texts: what follows.
    """

    messages: list[Message] = field(default_factory=list)
    tools: list[Any] = field(default_factory=list)
    answer: int | None = None
    prompt: str = ""
    completion: str = ""


@dataclass(frozen=True)
class AnswerPair:
    """Two conversations that differ in how they end.

    Attributes:
      chosen: With the answer that was preferred.
      rejected: With the other one.
    """

    chosen: Conversation
    rejected: Conversation


def shape_of(record: Any, columns: dict[str, str]) -> Shape:
    """Tells a shape by the fields of a record; `text` where it is no other."""
    if not isinstance(record, dict):
        return "text"
    if isinstance(record.get("text"), str):
        return "text"
    for shape, needed in _NEEDED.items():
        if all(columns.get(name, name) in record for name in needed):
            return shape  # type: ignore[return-value]
    return "text"


def parse_columns(given: Sequence[str]) -> dict[str, str]:
    """Returns our names of fields to others, of `NAME=OTHER` each."""
    columns = {}
    for one in given:
        name, _, other = one.partition("=")
        if not (name and other):
            raise ValueError(
                f"{one}: is no NAME=OTHER, as in messages=dialogue "
                "(data.columns, --column)"
            )
        columns[name] = other
    return columns


def check_columns(shape: Shape, columns: dict[str, str]) -> None:
    """Raises ValueError where a shape has no such field."""
    known = FIELDS.get(shape, ())
    if shape == "auto":
        known = tuple(
            dict.fromkeys(n for names in FIELDS.values() for n in names)
        )
    for name in columns:
        if name not in known:
            raise ValueError(
                f"data.columns: {name} is no field of shape {shape}; those "
                f"are: {', '.join(known) or 'none'}"
            )
    assert set(FIELDS) < set(get_args(Shape))


def read_conversation(
    record: Any, shape: Shape, columns: dict[str, str]
) -> Conversation | AnswerPair:
    """Makes a conversation of a record, or a pair of a `preference`.

    Args:
      record: As JSON gives it.
      shape: Not `auto` nor `text`.
      columns: Our names of fields to those in the record, where they differ.

    Raises:
      BadRecord: It is none.
    """
    if not isinstance(record, dict):
        raise BadRecord("the record is no JSON object")

    def get(name: str) -> Any:
        return record.get(columns.get(name, name))

    for name in _NEEDED[shape]:
        if get(name) is None:
            fields = ", ".join(list(map(str, record))[:8]) or "none"
            raise BadRecord(
                f"no field {columns.get(name, name)!r}; fields: {fields} "
                "(data.columns, --column)"
            )
    tools = _tools(get("tools")) if "tools" in FIELDS[shape] else []
    if shape == "preference":
        return _pair(get("prompt"), get("chosen"), get("rejected"), tools)
    if shape == "completion":
        return _completion(get("prompt"), get("completion"), tools)
    if shape == "alpaca":
        made = _alpaca(get)
    elif shape == "sharegpt":
        made = _sharegpt(get("conversations"), columns)
    else:
        made = get("messages")
    if shape in ("alpaca", "sharegpt") and get("system"):
        made = [{"role": "system", "content": get("system")}, *made]
    return Conversation(_messages(made), tools)


def _completion(prompt: Any, completion: Any, tools: list[Any]) -> Conversation:
    if isinstance(prompt, list) and isinstance(completion, list):
        return Conversation(
            _messages([*prompt, *completion]), tools, answer=len(prompt)
        )
    if not isinstance(prompt, str) or not isinstance(completion, str):
        raise BadRecord("prompt and completion are no two texts or two lists")
    _check_text("prompt", prompt)
    _check_text("completion", completion)
    if not completion:
        raise BadRecord("the completion is empty")
    return Conversation(prompt=prompt, completion=completion)


def _pair(
    prompt: Any, chosen: Any, rejected: Any, tools: list[Any]
) -> AnswerPair:
    if chosen == rejected:
        raise BadRecord("chosen and rejected are the same")
    if isinstance(chosen, str) and isinstance(rejected, str):
        if isinstance(prompt, list):
            said = [
                [{"role": "assistant", "content": t}]
                for t in (chosen, rejected)
            ]
            return _pair(prompt, *said, tools)
        if not isinstance(prompt, str):
            raise BadRecord("chosen and rejected are texts without a prompt")
        return AnswerPair(
            *(_completion(prompt, text, tools) for text in (chosen, rejected))
        )
    if not (isinstance(chosen, list) and isinstance(rejected, list)):
        raise BadRecord("chosen and rejected are no two texts or two lists")
    if isinstance(prompt, list):
        return AnswerPair(
            *(_completion(prompt, turns, tools) for turns in (chosen, rejected))
        )
    # Whole conversations, or answers to a prompt that is a text.
    answers = all(
        turns
        and isinstance(turns[0], dict)
        and turns[0].get("role") == "assistant"
        for turns in (chosen, rejected)
    )
    if answers and isinstance(prompt, str):
        return _pair(
            [{"role": "user", "content": prompt}], chosen, rejected, tools
        )
    shared = 0
    for one, other in zip(chosen, rejected, strict=False):
        if one != other:
            break
        shared += 1
    return AnswerPair(
        *(
            Conversation(_messages(turns), tools, answer=shared)
            for turns in (chosen, rejected)
        )
    )


def _alpaca(get: Any) -> list[Message]:
    asked = get("instruction")
    more = get("input")
    if more and isinstance(asked, str) and isinstance(more, str):
        asked = f"{asked}\n\n{more}" if asked else more
    return [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": get("output")},
    ]


def _sharegpt(turns: Any, columns: dict[str, str]) -> list[Message]:
    if not isinstance(turns, list):
        raise BadRecord("conversations is no list")
    speaker = columns.get("from", "from")
    value = columns.get("value", "value")
    made: list[Message] = []
    for number, turn in enumerate(turns, 1):
        if isinstance(turn, dict) and "role" in turn and speaker not in turn:
            made.append(turn)
            continue
        if not isinstance(turn, dict) or not isinstance(turn.get(speaker), str):
            raise BadRecord(f"turn {number} does not say who speaks")
        name = turn[speaker]
        role = _SPEAKERS.get(name.lower())
        if role is None:
            raise BadRecord(
                f"turn {number} is by {name!r}, none of {', '.join(_SPEAKERS)}"
            )
        message: Message = {"role": role, "content": turn.get(value)}
        if name.lower() == "function_call":
            message = {
                "role": role,
                "content": "",
                "tool_calls": [_call_of(number, turn.get(value))],
            }
        made.append(message)
    return made


def _call_of(number: int, value: Any) -> dict[str, Any]:
    try:
        call = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        call = None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        raise BadRecord(f"turn {number} is a call of no named function")
    return {"type": "function", "function": call}


def _tools(found: Any) -> list[Any]:
    if found in (None, "", []):
        return []
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            raise BadRecord("tools are no JSON") from None
    if not isinstance(found, list):
        raise BadRecord("tools are no list")
    return found


def _messages(found: Any) -> list[Message]:
    if not isinstance(found, list) or not found:
        raise BadRecord("there are no messages")
    messages = [_message(n, one) for n, one in enumerate(found, 1)]
    if not any(m["role"] == "assistant" for m in messages):
        raise BadRecord("the assistant says nothing in it")
    return messages


def _message(number: int, found: Any) -> Message:
    if not isinstance(found, dict):
        raise BadRecord(f"turn {number} is no JSON object")
    role = found.get("role")
    if role not in ROLES:
        raise BadRecord(
            f"turn {number} has the role {role!r}, none of {', '.join(ROLES)}"
        )
    message = {key: value for key, value in found.items() if value is not None}
    calls = message.pop("tool_calls", None)
    if calls:
        message["tool_calls"] = _calls(number, calls)
    message["content"] = _content(number, found.get("content"), bool(calls))
    said = message["content"].strip() or calls
    if role == "assistant" and not said:
        raise BadRecord(f"turn {number}: the assistant says nothing")
    for key, value in message.items():
        if isinstance(value, str):
            _check_text(f"turn {number}: {key}", value)
    return message


def _content(number: int, found: Any, calls: bool) -> str:
    if isinstance(found, str):
        return found
    if found is None:
        if calls:
            return ""
        raise BadRecord(f"turn {number} has no content")
    if not isinstance(found, list):
        raise BadRecord(f"turn {number}: content is neither text nor parts")
    parts = []
    for part in found:
        kind = part.get("type", "text") if isinstance(part, dict) else "text"
        text = part.get("text") if isinstance(part, dict) else part
        if kind != "text" or not isinstance(text, str):
            raise BadRecord(
                f"turn {number} has a part of type {kind!r}; only text is read"
            )
        parts.append(text)
    return "".join(parts)


def _calls(number: int, found: Any) -> list[dict[str, Any]]:
    if not isinstance(found, list):
        raise BadRecord(f"turn {number}: tool_calls is no list")
    calls = []
    for call in found:
        inner = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(inner, dict) or not isinstance(
            inner.get("name"), str
        ):
            raise BadRecord(f"turn {number} calls a function without a name")
        given = inner.get("arguments", {})
        # Templates write them as JSON themselves.
        if isinstance(given, str):
            try:
                given = json.loads(given) if given.strip() else {}
            except (ValueError, RecursionError):
                given = None
        if not isinstance(given, dict):
            raise BadRecord(
                f"turn {number}: the arguments of {inner['name']} are no JSON "
                "object"
            )
        calls.append(
            {
                **(call if call is not inner else {}),
                "type": "function",
                "function": {**inner, "arguments": given},
            }
        )
    return calls


def _check_text(what: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRecord(
            f"{what} is no text: bytes that are no UTF-8, or half of a "
            "surrogate pair"
        ) from None
