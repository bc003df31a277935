"""Section `parallel`: how ranks share the work."""

from typing import Annotated, Literal

from pydantic import Field

from eisbach.config.section import (
    MOST_RANKS,
    Auto,
    Layers,
    Natural,
    Ranks,
    Section,
    key,
)


class ParallelSection(Section):
    """How ranks share the work; data x tensor x pipeline x context = ranks."""

    data: Auto | Ranks = key(
        "auto",
        "Copies of the model that share the batch. `auto`: all ranks that "
        "`tensor` x `pipeline` x `context` leaves.",
    )
    tensor: Ranks = key(1, "Ranks that share each layer.")
    sequence: Auto | bool = key(
        "auto",
        "Ranks of `tensor` divide the tokens of a micro-batch wherever layers "
        "are whole: norms, dropout, the residual stream, what stages exchange. "
        "`auto`: where there are as many for each rank.",
        known_as="sequence_parallel",
    )
    pipeline: Ranks = key(1, "Stages, each of which holds some layers.")
    context: Ranks = key(
        1,
        "Ranks that divide the tokens of each row. `model.context` is a "
        "multiple of twice as many.",
    )
    context_method: Literal[
        "auto", "ring", "ulysses", "ulysses_ring", "gather"
    ] = key(
        "auto",
        "How they attend to one another's tokens: keys and values go round in "
        "a `ring`; `ulysses` gives each whole rows of some heads, which "
        "`context` x `tensor` divides; `ulysses_ring` does so in groups of "
        "neighbours, between which keys and values go round; `gather` brings "
        "all keys and values at once. `auto`: `ulysses` where heads divide, "
        "else `ulysses_ring` where they do in a group, else `ring`.",
    )
    ulysses_group: Auto | Ranks = key(
        "auto",
        "Neighbours among the ranks of `context` that exchange heads, which "
        "`ulysses_group` x `tensor` divides. `auto`: as many as can on a host "
        "or in an NVLink domain; all with `context_method` `ulysses`.",
    )
    schedule: Literal[
        "gpipe", "1f1b", "interleaved", "zero_bubble", "zb_v", "dual_pipe_v"
    ] = key(
        "1f1b",
        "Order of micro-batches in the pipeline; `eisbach schedule` draws it.",
    )
    chunks: Auto | Layers = key(
        "auto",
        "Parts of the model that a stage holds. `auto`: as few as the schedule "
        "runs.",
    )
    zero: Annotated[int, Field(ge=0, le=3)] = key(
        0,
        "What ranks of `data` x `context` divide instead of each keeping all "
        "of it: 1 the optimizer's state and f32 masters, 2 gradients as well, "
        "3 weights as well.",
    )
    zero_group: Auto | Annotated[int, Field(ge=2, le=MOST_RANKS)] = key(
        "auto",
        "Neighbours among the ranks of `data` x `context` that divide it; "
        "other such groups keep copies. `auto`: all of them.",
    )
    zero_prefetch: Natural = key(
        1,
        "Pieces of weights that are brought ahead of the one that is computed "
        "with.",
        only={"parallel.zero": (3,)},
    )
    reduce_wire: Literal["f32", "bf16"] = key(
        "f32",
        "With `zero` 2 and 3: the type in which gradients travel. `bf16` is "
        "half the bytes; sums are f32 nevertheless, in the order of ranks.",
    )
    layers_per_stage: Auto | Annotated[list[Layers], Field(min_length=1)] = key(
        "auto",
        "Layers of each stage, first to last; with `chunks`, of each of their "
        "parts of the model, in its order. `auto`: balanced by cost.",
    )
