"""Text from a model: the continuation of a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eisbach.core_config import engine_config, make_mesh
from eisbach.data.tokenizer import Tokenizer, load_tokenizer
from eisbach.export import import_parameters
from eisbach.world import init

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.config import Config
    from eisbach.job import Job
    from eisbach.run.folder import RunFolder

_PROMPT_TOKENS = 64
_TOKENS = 200


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
    text = job.tokenizer.decode
    return (
        f"--- prompt\n{text(prompt)}\n--- continuation\n{text(made)}\n--- end"
    )


def load_model(
    folder: RunFolder, config: Config
) -> tuple[_C.World, _C.Engine, Tokenizer]:
    """Loads the exported model of a run, whole on each rank.

    Args:
      folder: Of a run that has ended.
      config: Its configuration.

    Raises:
      ValueError: The run has no model, or it is damaged.
    """
    from eisbach import _C

    if not (folder.model / "model.safetensors").is_file():
        raise ValueError(
            f"{folder.path}: no model: the run has not come to its end"
        )
    world = init(device=config.run.device, threads=config.run.threads)
    alone = config.derive("parallel.data", world.size, "sampling")
    for key, value in (
        ("parallel.tensor", 1),
        ("parallel.pipeline", 1),
        ("parallel.layers_per_stage", "auto"),
        ("train.global_batch", world.size),
        ("train.micro_batch", 1),
    ):
        alone = alone.derive(key, value, "sampling")
    mesh = make_mesh(alone, world.size)
    engine = _C.Engine(engine_config(alone), _C.ParallelContext(world, mesh))
    engine.scatter(import_parameters(folder.model, config))
    return world, engine, load_tokenizer(config.data.tokenizer)


def sample(
    engine: _C.Engine,
    tokenizer: Tokenizer,
    prompt: str,
    *,
    tokens: int,
    temperature: float,
    top_k: int,
    seed: int,
) -> str:
    """Returns what the model says after `prompt`.

    Args:
      engine: Holds the whole model.
      tokenizer: Of the run.
      prompt: Some text.
      tokens: Most that are made.
      temperature: 0 takes the likeliest token each time.
      top_k: Only so many likeliest tokens; 0 keeps all.
      seed: Of the draws.

    Raises:
      ValueError: The prompt is empty, or an option is out of range.
    """
    ids = tokenizer.prompt(prompt)
    if not ids:
        raise ValueError("the prompt is empty (--prompt)")
    made = engine.generate(
        ids,
        tokens=tokens,
        temperature=temperature,
        top_k=top_k,
        seed=seed,
        stop=tokenizer.end_of_document,
    )
    return tokenizer.decode(made)
