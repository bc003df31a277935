"""What a text must hold of what an assistant says, and of what it calls."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from eisbach.data.chat_template import TemplateRefuses
from eisbach.data.conversations import Conversation, Message

THOUGHT_END = "</think>"


def words_of(message: Message) -> list[str]:
    """Texts that an assistant's turn must hold, thoughts apart."""
    words = [message["content"].rpartition(THOUGHT_END)[2].strip()]
    for call in message.get("tool_calls", ()):
        words.append(call["function"]["name"])
    return [word for word in words if word]


def check_calls(messages: list[Message], text: str) -> None:
    """Refuses arguments of calls in a language that is not JSON but Python."""
    for message in messages:
        for call in message.get("tool_calls", ()):
            given = call["function"]["arguments"]
            if given and isinstance(given, dict) and str(given) in text:
                if str(given) == json.dumps(given, ensure_ascii=False):
                    continue
                raise TemplateRefuses(
                    f"the arguments of {call['function']['name']} are not "
                    "written as JSON"
                )


def with_spelled_arguments(conversation: Conversation) -> Conversation | None:
    """Writes arguments of calls as JSON; None where there are no calls."""
    if not any("tool_calls" in m for m in conversation.messages):
        return None

    def spelled(call: dict[str, Any]) -> dict[str, Any]:
        inner = call["function"]
        given = json.dumps(inner["arguments"], ensure_ascii=False)
        return {**call, "function": {**inner, "arguments": given}}

    messages = [
        {**m, "tool_calls": [spelled(c) for c in m["tool_calls"]]}
        if "tool_calls" in m
        else m
        for m in conversation.messages
    ]
    return replace(conversation, messages=messages)
