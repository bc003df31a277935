"""Text from a model: the continuation of a prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.core_config import complete
from eisbach.data.tokenizer import Tokenizer, load_tokenizer
from eisbach.export import read_model
from eisbach.export.adapted import Adapted, find_adapted
from eisbach.export.load import load_weights
from eisbach.export.merging import alone, engine_of
from eisbach.export.source import folder_tokenizer, model_folder
from eisbach.run.folder import RunFolder
from eisbach.run.state import standing

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.job import Job

_PROMPT_TOKENS = 64
_TOKENS = 200
# What a terminal may take for a command; lines and tabs are none.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def continuation(job: Job) -> str:
    """Continues the start of the first sample of a run; collective.

    Returns:
      Prompt and continuation, with a headline; or why there is none.
    """
    if job.context.size("pipeline") > 1:
        return (
            "no sample of a model in stages here: "
            f"eisbach sample {job.folder.path}"
        )
    loader = job.validation or job.train
    loader.seek(0)
    row = loader.next(job.engine.device).tokens.numpy()[0]
    prompt = row[: min(_PROMPT_TOKENS, max(1, len(row) // 2))].tolist()
    made = job.engine.generate(
        prompt,
        tokens=_TOKENS,
        temperature=0.8,
        top_k=40,
        seed=job.config.run.seed,
        stop=job.tokenizer.end_of_document,
    )
    # Together: the text of a token depends on the one before it.
    start = job.tokenizer.decode(prompt)
    whole = job.tokenizer.decode([*prompt, *made])
    pairs = enumerate(zip(start, whole, strict=False))
    end = next((i for i, (a, b) in pairs if a != b), len(start))
    return (
        f"--- prompt\n{printable(whole[:end])}\n"
        f"--- continuation\n{printable(whole[end:])}\n--- end"
    )


def printable(text: str) -> str:
    """Spells control characters, so that a terminal does not obey them."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


@dataclass(frozen=True)
class Model:
    """A model that is loaded, whole on each rank.

    Attributes:
      world: All ranks.
      engine: Holds the model.
      tokenizer: Of its folder.
      ends: Token ids that end a document.
    """

    world: _C.World
    engine: _C.Engine
    tokenizer: Tokenizer
    ends: tuple[int, ...]


def load_model(
    path: Path, overrides: Sequence[str] = (), *, tokenizer: str | None = None
) -> Model:
    """Loads the model of a run, or of any folder that `read_model` reads.

    Nothing outside the folder is needed, but for the model of adapters.

    Args:
      path: The folder of a run that has ended, or a model's.
      overrides: `section.key=value` for the sections `run` and `precision`;
        without them those of the run hold.
      tokenizer: `bytes` or a file; None takes the folder's own.

    Raises:
      ValueError: There is no model, or it is damaged, or of a kind that
        cannot be computed here.
    """
    from eisbach.config import load_config

    if adapted := find_adapted(path, overrides):
        return _load_adapted(adapted, tokenizer)
    folder = model_folder(path)
    if folder is None:
        raise ValueError(_no_model(path))
    run = path / "config.yaml"
    config = load_config(run if run.is_file() else None, overrides)
    found = read_model(folder)
    config = config.model_copy(update={"model": found.model})
    loaded = (
        load_tokenizer(tokenizer)
        if tokenizer
        else folder_tokenizer(folder, found.model.vocab)
    )
    if loaded is None:
        raise ValueError(
            f"{folder}: has no tokenizer.json; give `bytes` or one "
            "(--tokenizer)"
        )
    engine, world = engine_of(alone(config))
    engine.scatter(found.parameters)
    return Model(world, engine, loaded, found.ends)


def _load_adapted(adapted: Adapted, tokenizer: str | None) -> Model:
    """Loads a model and, beside it, adapters."""
    config = complete(alone(adapted.config))
    engine, world = engine_of(config)
    loaded = (
        load_tokenizer(tokenizer)
        if tokenizer
        else adapted.tokenizer(config.model.vocab)
    )
    if loaded is None:
        raise ValueError(
            f"{adapted.folder}: has no tokenizer.json, nor has {adapted.base}; "
            "give `bytes` or one (--tokenizer)"
        )
    load_weights(engine, config, loaded, world)
    return Model(world, engine, loaded, adapted.ends())


def _no_model(path: Path) -> str:
    if not (path / "config.yaml").is_file():
        return (
            f"{path}: no run folder and no model: it has neither config.yaml "
            "nor config.json"
        )
    run = RunFolder(path)
    state = standing(run)
    why = {
        "running": "the run goes on, and writes it at its end",
        "finished": "the run has come to its end, but model/ was removed; "
        f"`eisbach train --resume {path}` writes it again",
    }.get(state, "the run has not come to its end")
    if saved := run.saved():
        return (
            f"{path}: no model: {why}; `eisbach export {path}` makes one of "
            f"its newest checkpoint, of step {max(saved)}"
        )
    return f"{path}: no model: {why}; there is no checkpoint of it either"


def sample(
    model: Model,
    prompt: str,
    *,
    tokens: int,
    temperature: float,
    top_k: int,
    seed: int,
) -> str:
    """Returns `prompt` and what the model says after it.

    Args:
      model: That speaks.
      prompt: Some text.
      tokens: Most that are made.
      temperature: 0 takes the likeliest token each time.
      top_k: Only so many likeliest tokens; 0 keeps all.
      seed: Of the draws.

    Raises:
      ValueError: The prompt is empty, or an option is out of range.
    """
    ids = model.tokenizer.prompt(prompt)
    begin = len(model.tokenizer.begin_of_document)
    if len(ids) <= begin:
        raise ValueError("the prompt is empty (--prompt)")
    made = model.engine.generate(
        ids,
        tokens=tokens,
        temperature=temperature,
        top_k=top_k,
        seed=seed,
        stop=model.ends[0] if model.ends else None,
    )
    end = next((i for i, t in enumerate(made) if t in model.ends), None)
    return model.tokenizer.decode([*ids[begin:], *made[:end]])
