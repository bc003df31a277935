"""Where chat templates are: beside a tokenizer, or in a file that is named."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.data.beside import (
    CONFIG,
    FOR_TOOLS,
    GENERATION,
    OF_TEMPLATES,
    TEMPLATE,
)
from eisbach.data.chat_template import ChatTemplate
from eisbach.files import read_regular

if TYPE_CHECKING:
    from eisbach.data.tokenizer import Tokenizer

CHATML = "chatml"
# Templates have some ten thousand bytes; configurations list added tokens.
_MOST_BYTES = 1 << 24
_TOKENS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{{ message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def template_of(tokenizer: Tokenizer) -> ChatTemplate:
    """Returns the template that lies beside a tokenizer.

    Raises:
      ValueError: There is none, or it is damaged.
    """
    texts = _templates(tokenizer.beside)
    if "default" not in texts:
        has = f" only for {', '.join(sorted(texts))}" if texts else ""
        raise ValueError(
            f"data.tokenizer={tokenizer.name} has{has or ' no'} chat template"
            f"{'s' if has else ''} beside it ({TEMPLATE}, or "
            f"chat_template in {CONFIG}): give the path of one, or chatml "
            "(data.template, --template)"
        )
    text = texts["default"]
    # It ends its turns itself, whatever a tokenizer calls its end.
    own = ["<|im_end|>"] if text == _CHATML else []
    return ChatTemplate(
        text,
        name=f"the chat template of {tokenizer.name}",
        tokens=special_tokens(tokenizer.beside),
        ends=[*own, *_ends(tokenizer)],
        for_tools=texts.get("tool_use"),
    )


def default_template(tokenizer: Tokenizer) -> str | None:
    """Returns the text of the template beside a tokenizer; None: none."""
    return _templates(tokenizer.beside).get("default")


def special_tokens(beside: dict[str, str]) -> dict[str, str]:
    """Returns what a tokenizer's configuration calls its special tokens.

    Args:
      beside: Of a `Tokenizer`.

    Returns:
      Texts by names such as `eos_token`; what is none is left out.
    """
    config = _parsed(beside, CONFIG)
    tokens = {}
    for name in _TOKENS:
        value = config.get(f"{name}_token")
        if isinstance(value, dict):
            value = value.get("content")
        if isinstance(value, str):
            tokens[f"{name}_token"] = value
    return tokens


def has_template(folder: Path) -> bool:
    """Whether one lies in a tokenizer's folder."""
    return "default" in _templates(files_beside(folder))


def files_beside(folder: Path) -> dict[str, str]:
    """Returns the files of a tokenizer's folder that templates need, by name.

    One that cannot be read is left out.
    """
    found = {}
    for name in OF_TEMPLATES:
        with contextlib.suppress(OSError, ValueError):
            found[name] = read_regular(folder / name, most=_MOST_BYTES).decode()
    return found


def take_template(tokenizer: Tokenizer, name: str) -> None:
    """Puts another template beside a tokenizer.

    Args:
      tokenizer: Loses its own.
      name: `auto`, which changes nothing; `chatml`; or the path of a template,
        of a `tokenizer_config.json`, or of a folder.

    Raises:
      ValueError: There is no such template.
    """
    if name == "auto":
        return
    text: str | None = _CHATML
    if name != CHATML:
        text = _named(Path(name))
    if text is None:
        raise ValueError(
            f"data.template={name}: there is no chat template; give chatml, "
            "or the path of one (data.template, --template)"
        )
    tokenizer.beside.pop(FOR_TOOLS, None)
    tokenizer.beside[TEMPLATE] = text


def _named(path: Path) -> str | None:
    if path.is_dir():
        return _templates(files_beside(path)).get("default")
    if not path.is_file():
        return None
    try:
        text = read_regular(path, most=_MOST_BYTES).decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: no chat template: not UTF-8 at byte {error.start}"
        ) from None
    if path.suffix == ".json":
        return _templates({CONFIG: text}).get("default")
    return text


def _templates(beside: dict[str, str]) -> dict[str, str]:
    """The templates among files, by name; a file of its own wins."""
    if TEMPLATE in beside:
        texts = {"default": beside[TEMPLATE]}
        if FOR_TOOLS in beside:
            texts["tool_use"] = beside[FOR_TOOLS]
        return texts
    found = _parsed(beside, CONFIG).get("chat_template")
    if isinstance(found, str):
        return {"default": found}
    return {
        one["name"]: one["template"]
        for one in (found if isinstance(found, list) else ())
        if isinstance(one, dict)
        and isinstance(one.get("name"), str)
        and isinstance(one.get("template"), str)
    }


def _parsed(beside: dict[str, str], name: str) -> dict[str, Any]:
    try:
        found = json.loads(beside.get(name, "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _ends(tokenizer: Tokenizer) -> list[str]:
    """Texts of the tokens at which `generation_config.json` stops a model."""
    wanted = _parsed(tokenizer.beside, GENERATION).get("eos_token_id")
    wanted = wanted if isinstance(wanted, list) else [wanted]
    if wanted == [None] or tokenizer.source_text is None:
        return []
    added = json.loads(tokenizer.source_text).get("added_tokens") or []
    return [one["content"] for one in added if one.get("id") in wanted]
