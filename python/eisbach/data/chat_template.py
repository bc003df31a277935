"""Chat templates: how a conversation is written as text.

A template is a Jinja program that comes with a model. It is rendered as
`transformers` renders it: in jinja2's immutable sandbox, with the same filters,
functions and variables.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Sequence
from typing import Any


class TemplateRefuses(ValueError):  # noqa: N818
    """A template cannot write a conversation; says why."""


class ChatTemplate:
    """A template and the names that it may use.

    Attributes:
      name: Where it is from.
      digest: Identifies all that a rendering depends on, the day apart.
      tokens: `bos_token`, `eos_token` and the like, as far as they are known.
      ends: Texts of the tokens that end a model's turn.
    """

    def __init__(
        self,
        text: str,
        *,
        name: str = "template",
        tokens: dict[str, str] | None = None,
        ends: Sequence[str] = (),
        for_tools: str | None = None,
    ):
        """Compiles a template.

        Args:
          text: The program.
          name: For messages.
          tokens: Special tokens by their names.
          ends: Texts of tokens that end a turn, beside `eos_token`.
          for_tools: A template that is taken for conversations with tools.

        Raises:
          ValueError: It is no template.
        """
        self.name = name
        self.tokens = dict(tokens or {})
        eos = [self.tokens["eos_token"]] if "eos_token" in self.tokens else []
        self.ends = tuple(dict.fromkeys([*eos, *ends]))
        facts = [text, for_tools, sorted(self.tokens.items()), self.ends]
        self.digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        # One day for all: a rendering is compared with another.
        self._now = datetime.datetime.now()
        self._texts = text, for_tools
        self._compile()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for name in ("_template", "_for_tools"):
            state.pop(name)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._compile()  # again, as programs do not travel

    def _compile(self) -> None:
        text, for_tools = self._texts
        self._template = self._compiled(text)
        self._for_tools = for_tools and self._compiled(for_tools)

    def _compiled(self, text: str) -> Any:
        environment = _environment()
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = self._now.strftime
        from jinja2 import TemplateError

        try:
            return environment.from_string(text)
        except (TemplateError, RecursionError) as error:
            raise ValueError(
                f"{self.name}: no chat template: {error}"
            ) from None

    def render(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[Any] | None = None,
        add_generation_prompt: bool = False,
        **more: Any,
    ) -> str:
        """Writes a conversation.

        Args:
          messages: Each with `role` and `content`.
          tools: Descriptions of functions, as JSON schema.
          add_generation_prompt: Whether the head of the assistant's next turn
            follows, as when a model is asked.
          more: Other variables.

        Raises:
          TemplateRefuses: Its own reason, or what went wrong.
        """
        template = self._template
        if tools and self._for_tools:
            template = self._for_tools
        try:
            return template.render(
                messages=messages,
                tools=tools or None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **self.tokens,
                **more,
            )
        # Whatever a program of others may raise, in code of its own.
        except Exception as error:
            raise TemplateRefuses(
                str(error).strip() or type(error).__name__
            ) from None


def _raise(message: str) -> None:
    from jinja2.exceptions import TemplateError

    raise TemplateError(message)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _environment() -> Any:
    from jinja2 import nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}`: marks what a model says; only its text counts."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(
                ["name:endgeneration"], drop_needle=True
            )
            return nodes.Scope(body, lineno=line)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Generation, loopcontrols],
    )
    environment.filters["tojson"] = _tojson
    return environment
