"""Section `optimizer`: the update rule and the learning rate."""

from typing import Annotated, Literal

from pydantic import Field

from eisbach.config.section import (
    Auto,
    Fraction,
    Natural,
    NonNegative,
    Positive,
    Section,
    Text,
    key,
)

ADAMW = {"optimizer.name": "adamw"}
SGD = {"optimizer.name": "sgd"}
ADAMW_IN_BF16 = {**ADAMW, "precision.compute": "bf16"}


class GroupSection(Section):
    """Parameters that are trained otherwise than the rest."""

    parameters: Annotated[list[Text], Field(min_length=1)] = key(
        ...,
        "Names of parameters, with `*`, `?` and `[0-9]` as in file names: "
        "`blocks.0.*`. A name that fits several groups is in the first.",
    )
    frozen: bool = key(
        False,
        "They stay as they are, without gradient, f32 copy or optimizer "
        "state; checkpoints have none of it either.",
    )
    lr_factor: Positive = key(1.0, "Multiplies the learning rate.")
    weight_decay: Auto | NonNegative = key(
        "auto",
        "Instead of `optimizer.weight_decay`, also of vectors. `auto`: as "
        "that says.",
    )


class OptimizerSection(Section):
    """The update rule and the learning rate."""

    name: Literal["adamw", "sgd"] = key("adamw", "Update rule.")
    lr: Positive = key(
        3e-4,
        "Highest learning rate, reached after warm-up.",
        known_as="learning_rate max_lr",
    )
    min_lr: NonNegative = key(
        0.0, "Learning rate at the last step of `cosine` and `linear`."
    )
    schedule: Literal["cosine", "linear", "constant"] = key(
        "cosine", "Shape of the learning rate after warm-up."
    )
    warmup_steps: Natural = key(
        0,
        "Steps in which the learning rate rises in a line from 0.",
        known_as="warmup warmup_iters",
    )
    betas: Annotated[list[Fraction], Field(min_length=2, max_length=2)] = key(
        [0.9, 0.95],
        "Decay of the first and second moment.",
        only=ADAMW,
    )
    eps: Positive = key(
        1e-8, "Added to the root of the second moment.", only=ADAMW
    )
    momentum: Fraction = key(0.0, "Decay of the velocity.", only=SGD)
    stochastic_rounding: bool = key(
        False,
        "Rounds the bf16 copy of the weights up or down at random instead of "
        "to nearest, so that small updates count on average. The result "
        "depends on the layout.",
        only=ADAMW_IN_BF16,
    )
    weight_decay: NonNegative = key(
        0.1,
        "Decay of parameters with two or more dimensions: decoupled from the "
        "gradient for `adamw`, added to it for `sgd`.",
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
