"""Text from a model: the continuations of prompts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.core_config import complete, engine_config, make_mesh
from eisbach.data.chats import turn_ends
from eisbach.data.tokenizer import Tokenizer, load_tokenizer
from eisbach.export.adapted import Adapted, find_adapted
from eisbach.export.load import load_weights
from eisbach.export.reading import read_described, read_ends
from eisbach.export.source import folder_tokenizer, model_folder
from eisbach.run.folder import RunFolder
from eisbach.run.state import standing
from eisbach.text_stream import TextStream
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
    """Continues the start of the first document of a run; collective.

    Of a conversation, or a pair of answers, that is what comes before the first
    answer.

    Returns:
      Prompt and continuation, with a headline.
    """
    from eisbach import _C

    loader = job.validation or job.train
    loader.seek(0)
    # One for all: ranks that divide weights work on the same tokens.
    start = beginning(loader.next(job.engine.device))
    prompt = json.loads(job.world.broadcast(json.dumps(start)))
    own = job.tokenizer.end_of_document
    ends = _ends([] if own is None else [own], job.tokenizer)
    (made,) = _C.Decoder(job.engine).generate(
        [prompt],
        tokens=_TOKENS,
        temperature=0.8,
        top_k=40,
        seed=job.config.run.seed,
        stops=list(ends),
    )
    # Together: the text of a token depends on the one before it.
    given = job.tokenizer.decode(prompt)
    whole = job.tokenizer.decode([*prompt, *made.tokens])
    pairs = enumerate(zip(given, whole, strict=False))
    end = next((i for i, (a, b) in pairs if a != b), len(given))
    return (
        f"--- prompt\n{printable(whole[:end])}\n"
        f"--- continuation\n{printable(whole[end:])}\n--- end"
    )


def beginning(batch: _C.Batch) -> list[int]:
    """What comes before the first token that is trained, or some of a text."""
    row, trained = batch.tokens.numpy()[0], batch.targets.numpy()[0] >= 0
    if batch.starts is not None:
        length = int((batch.starts.numpy()[0] == 0).sum())
        row, trained = row[:length], trained[:length]
    given = int(trained.argmax()) + 1
    if given == 1:
        given = min(_PROMPT_TOKENS, max(1, len(row) // 2))
    return row[:given].tolist()


def printable(text: str) -> str:
    """Spells control characters, so that a terminal does not obey them."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


@dataclass(frozen=True)
class SamplingOptions:
    """How tokens are drawn; see `Decoder.generate` of the core.

    Attributes:
      tokens: Most that are made for a prompt.
      temperature: 0 takes the likeliest token each time.
      top_k: Only so many likeliest tokens; 0 keeps all.
      top_p: The fewest likeliest tokens whose probabilities sum to this.
      min_p: Tokens at least so many times as likely as the likeliest.
      repetition_penalty: Above 1, tokens that occur become less likely.
      seed: Of the draws.
      stops: Strings that end a text.
    """

    tokens: int = _TOKENS
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0
    stops: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reply:
    """What follows a prompt.

    Attributes:
      text: Up to what ended it.
      tokens: How many were made.
      end: `tokens`, `stop` or `context`: why no more were.
    """

    text: str
    tokens: int
    end: str


@dataclass(frozen=True)
class Model:
    """A model that is loaded.

    Attributes:
      world: All ranks; they share the model.
      engine: Holds the model.
      tokenizer: Of its folder.
      ends: Token ids that end a document.
    """

    world: _C.World
    engine: _C.Engine
    tokenizer: Tokenizer
    ends: tuple[int, ...]

    @cached_property
    def decoder(self) -> _C.Decoder:
        """Remembers what it was given last."""
        from eisbach import _C

        return _C.Decoder(self.engine)


def load_model(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    tokenizer: str | None = None,
    adapter: str | None = None,
) -> Model:
    """Loads the model of a run, or of any folder that `read_model` reads.

    Nothing outside the folder is needed, but for the model of adapters. Ranks
    share each layer, unless a key of `parallel` says otherwise.

    Args:
      path: The folder of a run that has ended, or a model's.
      overrides: `section.key=value` for the sections `run`, `precision` and
        `parallel`; without them those of the run hold, but for `parallel`.
      tokenizer: `bytes` or a file; None takes the folder's own.
      adapter: Name of adapters in the folder, or a folder of adapters for its
        model; None takes those that are there by themselves.

    Raises:
      ValueError: There is no model, or it is damaged, or of a kind that
        cannot be computed here.
    """
    from eisbach.config import load_config

    layout = [key for key in overrides if key.startswith("parallel.")]
    others = [key for key in overrides if key not in layout]
    if adapted := find_adapted(path, others, name=adapter):
        return _load_adapted(adapted, layout, tokenizer)
    folder = model_folder(path)
    if folder is None:
        raise ValueError(_no_model(path))
    run = path / "config.yaml"
    config = load_config(run if run.is_file() else None, others)
    described = read_described(folder)[0]
    described = described.model_copy(update={"from": str(folder)})
    config = config.model_copy(update={"model": described})
    loaded = (
        load_tokenizer(tokenizer)
        if tokenizer
        else folder_tokenizer(folder, described.vocab)
    )
    if loaded is None:
        raise ValueError(
            f"{folder}: has no tokenizer.json; give `bytes` or one "
            "(--tokenizer)"
        )
    world, engine = _filled(_frozen(config), layout)
    return Model(world, engine, loaded, _ends(read_ends(folder), loaded))


def _load_adapted(
    adapted: Adapted, layout: Sequence[str], tokenizer: str | None
) -> Model:
    """Loads a model and, beside it, adapters."""
    config = complete(adapted.config)
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
    world, engine = _filled(config, layout)
    return Model(world, engine, loaded, _ends(adapted.ends(), loaded))


def _ends(said: Sequence[int], tokenizer: Tokenizer) -> tuple[int, ...]:
    """Token ids that end a text: what files say, and ends of turns."""
    return tuple(dict.fromkeys([*said, *turn_ends(tokenizer)]))


def _filled(
    config: Config, layout: Sequence[str]
) -> tuple[_C.World, _C.Engine]:
    """Makes an engine that has the weights of the configuration's folders."""
    from eisbach import _C
    from eisbach.config import load_config

    world = init(device=config.run.device, threads=config.run.threads)
    parallel = load_config(None, layout).parallel
    config = config.model_copy(update={"parallel": parallel})
    if not layout:
        config = config.derive("parallel.tensor", world.size, "sampling")
    mesh = make_mesh(config, world.size)
    for key, value in (
        ("train.global_batch", mesh.size("data")),
        ("train.micro_batch", 1),
        ("fault.on_spike", "stop"),
        ("fault.hash_every", 0),
        # Nothing is learned, so nothing is kept for it.
        ("optimizer.name", "adamw"),
        ("train.ema", 0.0),
    ):
        config = config.derive(key, value, "sampling")
    engine = _C.Engine(engine_config(config), _C.ParallelContext(world, mesh))
    load_weights(engine, complete(config), None, world)
    return world, engine


def _frozen(config: Config) -> Config:
    """Without what training alone needs: gradients, and f32 of most weights."""
    from eisbach.config.optimizer import GroupSection

    # Something must be trained, and a group say how; the last norm is small.
    groups = [
        GroupSection(parameters=["final_norm.*"], lr_factor=2.0),
        GroupSection(parameters=["*"], frozen=True),
    ]
    return config.derive("optimizer.groups", groups, "sampling")


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


def prompt_ids(model: Model, prompt: str) -> list[int]:
    """Returns the tokens of a prompt.

    Raises:
      ValueError: It is empty.
    """
    ids = model.tokenizer.prompt(prompt)
    if len(ids) <= len(model.tokenizer.begin_of_document):
        raise ValueError("the prompt is empty (--prompt)")
    return ids


def generate(
    model: Model,
    prompts: Sequence[Sequence[int]],
    options: SamplingOptions,
    *,
    first: int = 0,
    on_text: Callable[[int, str], None] | None = None,
) -> list[Reply]:
    """Continues prompts side by side; collective.

    Args:
      model: That speaks.
      prompts: Token ids.
      options: How.
      first: Number of the first prompt, which its draws depend on.
      on_text: Called with the index of a prompt and text as it comes.

    Raises:
      ValueError: A prompt does not fit, or an option is out of range.
    """
    streams = [TextStream(model.tokenizer, p, options.stops) for p in prompts]

    def on_token(prompt: int, token: int) -> bool:
        text = streams[prompt].push(token)
        if text and on_text:
            on_text(prompt, text)
        return not streams[prompt].stopped

    made = model.decoder.generate(
        [list(prompt) for prompt in prompts],
        tokens=options.tokens,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        min_p=options.min_p,
        repetition_penalty=options.repetition_penalty,
        seed=options.seed,
        first_prompt=first,
        stops=list(model.ends),
        on_token=on_token,
    )
    replies = []
    for index, (stream, one) in enumerate(zip(streams, made, strict=True)):
        text = stream.end()
        if text and on_text:
            on_text(index, text)
        end = "stop" if stream.stopped else one.end
        replies.append(Reply(stream.text, len(one.tokens), end))
    return replies
