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
from pathlib import Path
from typing import Any

from eisbach.data.tokenizer import BYTES
from eisbach.files import read_json, read_regular

CHATML = "chatml"
_FILE = "chat_template.jinja"
_CONFIG = "tokenizer_config.json"
_MORE = "additional_chat_templates"
# Templates have some ten thousand bytes.
_MOST_BYTES = 1 << 22
_TOKENS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{{ message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


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
          ValueError: It is no template, or jinja2 is missing.
        """
        self.name = name
        self.tokens = dict(tokens or {})
        eos = [self.tokens["eos_token"]] if "eos_token" in self.tokens else []
        self.ends = tuple(dict.fromkeys([*eos, *ends]))
        facts = [text, for_tools, sorted(self.tokens.items()), self.ends]
        self.digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        # One day for all: a rendering is compared with another.
        self._now = datetime.datetime.now()
        self._template = self._compiled(text)
        self._for_tools = for_tools and self._compiled(for_tools)

    def _compiled(self, text: str) -> Any:
        environment = _environment(self.name)
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


def _environment(name: str) -> Any:
    try:
        from jinja2 import nodes
        from jinja2.ext import Extension, loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise ValueError(
            f"{name}: chat templates need a library: pip install "
            "'eisbach[chat]'"
        ) from None

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


def load_template(name: str, tokenizer: str) -> ChatTemplate:
    """Finds a template.

    Args:
      name: `auto`, which takes that of the tokenizer's folder; `chatml`; or the
        path of a template, of a `tokenizer_config.json`, or of a folder.
      tokenizer: `bytes`, or the path of a `tokenizer.json` or of its folder.

    Raises:
      ValueError: There is none, or it cannot be read.
    """
    home = Path(tokenizer)
    if not home.is_dir():
        home = home.parent
    has_files = tokenizer != BYTES
    config = _config(home / _CONFIG) if has_files else {}
    tokens = _tokens(config)
    ends = _ends(home) if has_files else []
    if name == CHATML:
        # It ends its turns itself, whatever a tokenizer calls its end.
        return ChatTemplate(
            _CHATML, name=CHATML, tokens=tokens, ends=("<|im_end|>", *ends)
        )
    found = None
    if name != "auto":
        found = _templates(Path(name))
    elif has_files:
        found = _templates(home)
    if found is None:
        raise ValueError(
            (
                f"data.tokenizer={tokenizer} has no chat template beside it"
                if name == "auto"
                else f"data.template={name}: there is no chat template"
            )
            + f" ({_FILE}, or chat_template in {_CONFIG}); give the path of "
            "one, or chatml (data.template, --template)"
        )
    where, texts = found
    if "default" not in texts:
        raise ValueError(
            f"{where}: has the chat templates {', '.join(sorted(texts))}, but "
            "no default; write the one to take to a file and name it "
            "(data.template, --template)"
        )
    return ChatTemplate(
        texts["default"],
        name=str(where),
        tokens=tokens,
        ends=ends,
        for_tools=texts.get("tool_use"),
    )


def template_text(name: str, tokenizer: str) -> str | None:
    """Returns the default template that `load_template` takes; None: none."""
    if name == CHATML:
        return _CHATML
    home = Path(tokenizer if name == "auto" else name)
    if name == "auto" and not home.is_dir():
        home = home.parent
    found = None if name == "auto" and tokenizer == BYTES else _templates(home)
    return found[1].get("default") if found else None


def _templates(path: Path) -> tuple[Path, dict[str, str]] | None:
    """Where templates are, and their texts by name."""
    if path.is_dir():
        file = path / _FILE
        if not file.is_file():
            return _of_config(path / _CONFIG)
        texts = {"default": _text(file)}
        if (path / _MORE).is_dir():
            for more in sorted((path / _MORE).glob("*.jinja")):
                texts.setdefault(more.stem, _text(more))
        return file, texts
    if not path.is_file():
        return None
    if path.suffix == ".json":
        return _of_config(path)
    return path, {"default": _text(path)}


def _text(file: Path) -> str:
    try:
        return read_regular(file, most=_MOST_BYTES).decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file}: no chat template: not UTF-8 at byte {error.start}"
        ) from None


def _of_config(file: Path) -> tuple[Path, dict[str, str]] | None:
    found = _config(file).get("chat_template")
    if isinstance(found, str):
        return file, {"default": found}
    if not isinstance(found, list):
        return None
    texts = {
        one["name"]: one["template"]
        for one in found
        if isinstance(one, dict)
        and isinstance(one.get("name"), str)
        and isinstance(one.get("template"), str)
    }
    return (file, texts) if texts else None


def _config(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    found = read_json(file)
    return found if isinstance(found, dict) else {}


def _tokens(config: dict[str, Any]) -> dict[str, str]:
    tokens = {}
    for name in _TOKENS:
        value = config.get(f"{name}_token")
        if isinstance(value, dict):
            value = value.get("content")
        if isinstance(value, str):
            tokens[f"{name}_token"] = value
    return tokens


def _ends(home: Path) -> list[str]:
    """Texts of the tokens at which `generation_config.json` stops a model."""
    wanted = _config(home / "generation_config.json").get("eos_token_id")
    wanted = wanted if isinstance(wanted, list) else [wanted]
    file = home / "tokenizer.json"
    if wanted == [None] or not file.is_file():
        return []
    added = _config(file).get("added_tokens") or []
    return [
        one["content"]
        for one in added
        if isinstance(one, dict) and one.get("id") in wanted
    ]
