"""Whether a configuration fits a number of ranks, and what near it would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eisbach.config import Config
from eisbach.config.rules import show
from eisbach.config.tree import COMMAND_LINE
from eisbach.core_config import complete, engine_config, make_mesh
from eisbach.export.families import describe
from eisbach.run.folder import check_name
from eisbach.run.foretold import check_machine

if TYPE_CHECKING:
    from eisbach import _C

# What the core offers; it knows one rule at a time.
_OFFER = re.compile(r"[;,]? *nearest[\w ]* that works: .*$", re.DOTALL)
_KEY = re.compile(r"\b([a-z]+)\.([a-z_0-9]+)\b")
# Follow from other keys, where the configuration leaves them open.
_DEPENDENT = (
    "model.kv_heads",
    "model.head_dim",
    "model.ffn_hidden",
    "parallel.data",
)
# How far from a value one that fits is looked for.
_FARTHEST = 2048


@dataclass(frozen=True)
class Fit:
    """A configuration on a number of ranks.

    Attributes:
      config: With no `auto` but that of the threads, and of
        `train.recompute_layers` where nobody tells how much memory there is.
      mesh: Its ranks.
      engine: What the core makes an Engine of.
    """

    config: Config
    mesh: _C.Mesh
    engine: _C.EngineConfig


def fit(
    config: Config,
    ranks: int,
    *,
    locations: list[_C.RankLocation] | None = None,
) -> Fit:
    """Lays a configuration out on ranks; allocates nothing.

    Args:
      config: Resolved.
      ranks: How many.
      locations: Where they run; None takes them in their own order, and then
        nobody tells how much memory they have.

    Raises:
      ValueError: Sizes, layout and ranks do not fit, or the run's name is
        none. What the message says to work does: it was tried.
    """
    check_name(config.run.name)
    check_machine(config)
    try:
        found = _fit(config, ranks, locations)
    except ValueError as error:
        message = _OFFER.sub("", str(error))
        raise ValueError(message + _offer(config, ranks, message)) from None
    return _recompute(found, locations or [])


def on_ranks(config: Config, ranks: int) -> Config:
    """Lets a run that goes on have as many data ranks as there are now.

    A checkpoint loads on any layout. Sizes that are given on the command line
    stay as they are.

    Args:
      config: Of the run, with what was changed.
      ranks: How many there are.
    """
    given = config.origin("parallel.data") == COMMAND_LINE
    if given or least_ranks(config) == ranks:
        return config
    return config.derive("parallel.data", "auto", f"ranks: {ranks}")


def least_ranks(config: Config) -> int:
    """Returns how many ranks a configuration needs at least."""
    sizes = config.parallel
    data = 1 if sizes.data == "auto" else sizes.data
    return data * sizes.tensor * sizes.pipeline * sizes.context


def check_data(config: Config) -> None:
    """Checks that the data is there, and that token files are whole.

    What a run prepares itself, `auto` and texts, is not made here; of
    conversations it is checked that there is one to train.

    Args:
      config: As `fit` returns it.

    Raises:
      ValueError: As `check_named` and `check_conversations`, or a file is
        damaged or made by another tokenizer.
    """
    from eisbach import _C
    from eisbach.data.chat_cache import check_conversations
    from eisbach.data.named import KEYS, check_named, token_files
    from eisbach.data.sources import documents_of, mixture, run_tokenizer

    tokenizer = run_tokenizer(config)
    check_named(config, tokenizer)
    check_conversations(config, tokenizer)
    for part in KEYS:
        files = token_files(config, part)
        if not files:
            continue
        found = mixture(config, part, files)
        _C.Corpus(
            list(zip(found.prefixes, found.weights, strict=True)),
            context=config.model.context,
            vocab=config.model.vocab,
            seed=config.run.seed,
            documents=documents_of(config),
        )


def _fit(
    config: Config, ranks: int, locations: list[_C.RankLocation] | None = None
) -> Fit:
    from eisbach import _C

    config = complete(config)
    mesh = make_mesh(config, ranks, locations=locations)
    if config.parallel.data == "auto":
        reason = f"ranks: {ranks}"
        config = config.derive("parallel.data", mesh.size("data"), reason)
    neighbours = 0
    if locations:
        neighbours = _C.context_neighbours(mesh, locations)
    described = engine_config(config, context_neighbours=neighbours)
    described.validate(mesh)
    describe(config.model)  # an export has to say it
    return Fit(config, mesh, described)


def _recompute(found: Fit, locations: list[_C.RankLocation]) -> Fit:
    """Has as few blocks recomputed as fit, where the configuration asks."""
    from eisbach import _C

    config = found.config
    if config.train.recompute_layers != "auto":
        return found
    gib = config.train.recompute_gib
    if gib == "auto":
        memory = min((at.memory for at in locations), default=0)
    else:
        memory = int(gib * 2**30)
    if not memory and locations:
        raise ValueError(
            "recompute_layers=auto: nobody tells how much memory a rank has "
            "(train.recompute_layers); say so in train.recompute_gib"
        )
    if not memory:
        return found
    copies = config.run.device == "cpu" and config.checkpoint.asynchronous
    layers = _C.fewest_recomputed(
        found.engine,
        found.mesh,
        memory=memory,
        copies=copies,
        device=config.run.device,
    )
    reason = f"fewest that fit in {memory / 2**30:.3g} GiB a rank"
    config = config.derive("train.recompute_layers", layers, reason)
    neighbours = found.engine.context_neighbours
    described = engine_config(config, context_neighbours=neighbours)
    return Fit(config, found.mesh, described)


def count(number: int, thing: str) -> str:
    """Spells a count, as in `1 rank` and `2 ranks`."""
    return f"{number:,} {thing}{'s'[: number != 1]}"


def shorten(number: int) -> str:
    """Spells a large number with its unit, as in `12.34 M`."""
    for letter, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= scale:
            return f"{number / scale:.2f} {letter}"
    return str(number)


def spell_sizes(mesh: _C.Mesh) -> str:
    """Spells a mesh's sizes; that of `context` where rows are divided."""
    axes = ("pipeline", "data", "context", "tensor")
    return " x ".join(
        f"{axis} {mesh.size(axis)}"
        for axis in axes
        if axis != "context" or mesh.size(axis) > 1
    )


def _offer(config: Config, ranks: int, message: str) -> str:
    """Says what alone would make the configuration fit; empty if nothing."""
    works = [
        f"{key}={show(value)}"
        for key, value in _changes(config, ranks, message)
    ]
    if "ranks" in message and (more := _other_ranks(config, ranks)):
        works.append(f"{more} ranks")
    return f"; nearest that works: {', or '.join(works)}" if works else ""


def _changes(
    config: Config, ranks: int, message: str
) -> Iterator[tuple[str, int | str]]:
    """Yields for each key that the message names a value that fits."""
    for key in dict.fromkeys(".".join(k) for k in _KEY.findall(message)):
        section, name = key.split(".")
        now = getattr(getattr(config, section, None), name, None)
        if not isinstance(now, int) or isinstance(now, bool):
            continue
        most = ranks if section == "parallel" else now + _FARTHEST
        if name == "chunks":
            most = config.model.layers
        for value in _around(min(now, most + 1), most):
            if _works(_changed(config, key, value), ranks):
                yield key, value
                break


def _around(now: int, most: int) -> Iterator[int]:
    for distance in range(1, max(now, most - now, 1) + 1):
        if distance > _FARTHEST:
            return
        for value in (now - distance, now + distance):
            if 1 <= value <= most:
                yield value


def _changed(config: Config, key: str, value: int) -> Config:
    for other in _DEPENDENT:
        if other != key and config.origin(other).startswith("derived"):
            config = config.derive(other, "auto", "again")
    return config.derive(key, value, "tried")


def _other_ranks(config: Config, ranks: int) -> int:
    """Returns the next larger number of ranks that fits; 0 for none."""
    for count in range(ranks + 1, 8 * ranks + 64):
        if _works(config, count):
            return count
    return 0


def _works(config: Config, ranks: int) -> bool:
    try:
        _fit(config, ranks)
    except ValueError:
        return False
    return True
