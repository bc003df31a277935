"""Text from a model: the continuation of a prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.core_config import engine_config, make_mesh
from eisbach.data.tokenizer import Tokenizer, load_tokenizer
from eisbach.export import read_model
from eisbach.export.source import folder_tokenizer, model_folder
from eisbach.run.folder import RunFolder
from eisbach.run.state import standing
from eisbach.world import init

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.config import Config
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

    Nothing outside the folder is needed.

    Args:
      path: The folder of a run that has ended, or a model's.
      overrides: `section.key=value` for the sections `run` and `precision`;
        without them those of the run hold.
      tokenizer: `bytes` or a file; None takes the folder's own.

    Raises:
      ValueError: There is no model, or it is damaged, or of a kind that
        cannot be computed here.
    """
    from eisbach import _C
    from eisbach.config import load_config

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
    world = init(device=config.run.device, threads=config.run.threads)
    config = _whole_on_each_rank(config, world.size)
    mesh = make_mesh(config, world.size)
    engine = _C.Engine(engine_config(config), _C.ParallelContext(world, mesh))
    engine.scatter(found.parameters)
    return Model(world, engine, loaded, found.ends)


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


def _whole_on_each_rank(config: Config, ranks: int) -> Config:
    for key, value in (
        ("parallel.data", ranks),
        ("parallel.tensor", 1),
        ("parallel.pipeline", 1),
        ("parallel.layers_per_stage", "auto"),
        ("train.global_batch", ranks),
        ("train.micro_batch", 1),
    ):
        config = config.derive(key, value, "sampling")
    return config


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
