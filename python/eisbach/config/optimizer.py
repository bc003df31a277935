"""Section `optimizer`: the update rule and the learning rate."""

from typing import Annotated, Literal

from pydantic import Field

from eisbach.config.section import (
    Auto,
    Count,
    Fraction,
    Natural,
    NonNegative,
    Positive,
    Section,
    Text,
    key,
)

ADAMW = {"optimizer.name": "adamw"}
WITH_ADAMW = {"optimizer.name": ("adamw", "muon")}
WITH_BETAS = {"optimizer.name": ("adamw", "lion", "muon")}
WITH_MOMENTUM = {"optimizer.name": ("muon", "sgd")}
MUON = {"optimizer.name": "muon"}
WSD = {"optimizer.schedule": "wsd"}
RESTARTS = {"optimizer.schedule": "cosine_restarts"}
ADAMW_IN_BF16 = {**ADAMW, "precision.compute": "bf16"}


class GroupSection(Section):
    """Parameters that are trained otherwise than the rest."""

    parameters: Annotated[list[Text], Field(min_length=1)] = key(
        ...,
        "Names of parameters, with `*`, `?` and `[0-9]` as in file names: "
        "`blocks.0.*`. A name that fits several groups is in the first.",
        known_as="match pattern",
    )
    frozen: bool = key(
        False,
        "They stay as they are, without gradient, f32 copy or optimizer "
        "state; checkpoints have none of it either.",
    )
    lr_factor: Positive = key(
        1.0, "Multiplies the learning rate.", known_as="lr_scale"
    )
    weight_decay: Auto | NonNegative = key(
        "auto",
        "Instead of `optimizer.weight_decay`, also of vectors. `auto`: as "
        "that says.",
    )
    rule: Literal["auto", "adamw"] = key(
        "auto",
        "`adamw`: of `muon`, AdamW trains matrices as well. `auto`: as "
        "`optimizer.name` says.",
    )


class OptimizerSection(Section):
    """The update rule and the learning rate."""

    name: Literal["adamw", "lion", "muon", "sgd"] = key(
        "adamw",
        "Update rule. `muon` is of matrices; tables (embedding, head) and "
        "vectors are trained by AdamW beside it.",
    )
    lr: Positive = key(
        3e-4,
        "Highest learning rate, reached after warm-up.",
        known_as="learning_rate max_lr",
    )
    adamw_lr: Auto | Positive = key(
        "auto",
        "The same of what AdamW trains beside `muon`. `auto`: as `lr`.",
        only=MUON,
    )
    min_lr: NonNegative = key(
        0.0,
        "Learning rate at the last step of `cosine`, `linear` and `wsd`, and "
        "at the end of each cycle of `cosine_restarts`.",
    )
    schedule: Literal[
        "cosine", "linear", "constant", "wsd", "cosine_restarts"
    ] = key(
        "cosine",
        "Shape of the learning rate after warm-up. `wsd`: stays, then decays.",
    )
    decay_steps: Natural = key(
        0, "The last steps, in which the learning rate falls.", only=WSD
    )
    decay: Literal["linear", "cosine", "sqrt"] = key(
        "linear",
        "How it falls; `sqrt`: with 1 less the root of the time, quickly at "
        "first.",
        only=WSD,
    )
    cycle_steps: Natural = key(
        0,
        "Steps from one restart at `lr` to the next.",
        only=RESTARTS,
        known_as="T_0 first_cycle_steps",
    )
    cycle_factor: Annotated[float, Field(ge=1)] = key(
        1.0,
        "How many times longer each cycle is than the one before it.",
        only=RESTARTS,
        known_as="T_mult cycle_mult",
    )
    warmup_steps: Natural = key(
        0,
        "Steps in which the learning rate rises in a line from 0.",
        known_as="warmup warmup_iters",
    )
    betas: Annotated[list[Fraction], Field(min_length=2, max_length=2)] = key(
        [0.9, 0.95],
        "Decay of the first and second moment; of `lion`, of the mean in the "
        "update and of the one that is kept: 0.9 and 0.99 are usual there.",
        only=WITH_BETAS,
    )
    eps: Positive = key(
        1e-8, "Added to the root of the second moment.", only=WITH_ADAMW
    )
    momentum: Auto | Fraction = key(
        "auto",
        "Decay of the velocity. `auto`: 0.95 of `muon`, 0 of `sgd`.",
        only=WITH_MOMENTUM,
    )
    nesterov: bool = key(
        True, "Whether the momentum looks a step ahead.", only=MUON
    )
    newton_schulz_steps: Count = key(
        5,
        "Steps of the iteration that makes a matrix orthogonal.",
        only=MUON,
        known_as="ns_steps",
    )
    matrix_scale: Literal["original", "match_rms_adamw"] = key(
        "original",
        "How large the update of a matrix is: times the root of rows / columns "
        "where that is above 1; or about as large as AdamW's, whose `lr` and "
        "`weight_decay` then fit.",
        only=MUON,
        known_as="adjust_lr_fn",
    )
    stochastic_rounding: bool = key(
        False,
        "Rounds the bf16 copy of the weights up or down at random instead of "
        "to nearest, so that small updates count on average. The result "
        "depends on the layout.",
        only=ADAMW_IN_BF16,
    )
    weight_decay: NonNegative = key(
        0.1,
        "Decay of parameters with two or more dimensions: added to the "
        "gradient for `sgd`, decoupled from it for all others.",
    )
    clip_grad_norm: NonNegative = key(
        1.0,
        "Largest norm of the whole gradient; 0 never clips.",
        known_as="grad_clip max_grad_norm gradient_clipping",
    )
    groups: list[GroupSection] = key(
        [],
        "Parameters that are frozen, or have a learning rate or decay of "
        "their own.",
        known_as="param_groups freeze",
    )
