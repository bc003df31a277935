"""The page of a model: what it was trained on, and how far."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from eisbach.config import load_config, make_config, resolve
from eisbach.config.rules import show
from eisbach.run.folder import RunFolder, read_lines

if TYPE_CHECKING:
    from eisbach.config import Config

_HEAD = """---
library_name: transformers
pipeline_tag: text-generation
{base}---

# {name}

Trained by Eisbach {version}. What data and base model allow decides who may use
it for what: put the licence here.

"""
# Sections of which a reader wants what is not as usual.
_TOLD = ("model", "data", "optimizer", "train", "precision", "parallel")


def card(folder: RunFolder, step: int | None = None) -> str:
    """Returns a page in Markdown about the model of a run.

    Args:
      folder: Of the run.
      step: After which the model is taken; None for the last.

    Raises:
      ValueError: The configuration of the run is damaged.
    """
    config = resolve(load_config(folder.config))
    base = getattr(config.model, "from")
    head = _HEAD.format(
        base="" if base == "none" else f"base_model: {base}\n",
        name=config.run.name,
        version=version("eisbach"),
    )
    rows = "\n".join(
        f"| {name} | {value} |" for name, value in _facts(folder, config, step)
    )
    return f"{head}| what | value |\n| --- | --- |\n{rows}\n"


def _facts(
    folder: RunFolder, config: Config, step: int | None
) -> Iterator[tuple[str, Any]]:
    lines = [
        line
        for line in read_lines(folder.metrics)
        if step is None or line.get("step", 0) <= step
    ]
    last = lines[-1] if lines else {}
    losses = {
        at: loss
        for at, loss in folder.validation_losses().items()
        if step is None or at <= step
    }
    yield "steps", f"{last.get('step', 0):,} of {config.train.steps:,}"
    yield "tokens", f"{last.get('tokens', 0):,}"
    if "loss" in last:
        yield "loss of the last step", f"{last['loss']:.4f} nats a token"
    if losses:
        at, loss = max(losses.items())
        yield f"validation loss after step {at:,}", f"{loss:.4f} nats a token"
    usual = resolve(make_config())
    for section in _TOLD:
        others = getattr(usual, section).model_dump()
        for name, value in getattr(config, section).model_dump().items():
            if value != others[name]:
                yield f"`{section}.{name}`", f"`{show(value)}`"
