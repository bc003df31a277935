"""Section `train`: how long, and in what batches."""

from typing import Annotated, Literal

from pydantic import Field

from eisbach.config.section import (
    MOST_LAYERS,
    Auto,
    Count,
    Fraction,
    Natural,
    NonNegative,
    Section,
    key,
)

NEXT_TOKEN = {"train.objective": "next_token"}


class TrainSection(Section):
    """How long, and in what batches."""

    objective: Literal["next_token", "dpo"] = key(
        "next_token",
        "What is learned: the `next_token`; or which of two answers to prefer "
        "(`dpo`, direct preference optimization, see section `dpo`): a sample "
        "is a pair then.",
    )
    steps: Count = key(
        400,
        "Optimizer steps.",
        known_as="max_steps max_iters iterations num_steps train_iters",
    )
    global_batch: Count = key(
        16,
        "Sequences in a step, over all ranks.",
        known_as="batch_size global_batch_size",
    )
    micro_batch: Count = key(
        4,
        "Sequences that a rank computes at once; `global_batch` must be a "
        "multiple of `micro_batch` x data-parallel ranks.",
        known_as="micro_batch_size",
    )
    recompute: Literal["none", "selective", "block"] = key(
        "none",
        "What backward computes again rather than keeps, in the same bits. "
        "`selective`: attention and MLP up to their last projection, about a "
        "fifth more work; `block`: each block from its input, about a third "
        "more.",
    )
    recompute_layers: (
        Literal["all"] | Auto | Annotated[int, Field(ge=0, le=MOST_LAYERS)]
    ) = key(
        "all",
        "Blocks of each stage, its first ones, for which `recompute` holds. "
        "`auto`: as few as fit the memory of the ranks.",
        only={"train.recompute": ("selective", "block")},
    )
    recompute_gib: Auto | Annotated[float, Field(gt=0, le=2**20)] = key(
        "auto",
        "GiB that a rank's tensors may take, copies for checkpoints included. "
        "`auto`: nine tenths of its GPU, or of its even share of the host.",
        only={"train.recompute": ("selective", "block")},
    )
    z_loss: NonNegative = key(
        0.0,
        "Adds this x the square of the log of the sum of exponentials of a "
        "token's logits to its loss, which keeps them near 0; 1e-4 is usual. "
        "The reported loss is without it.",
        only=NEXT_TOKEN,
    )
    label_smoothing: Fraction = key(
        0.0,
        "Share of each target that all tokens have alike. The reported loss "
        "is without it.",
        only=NEXT_TOKEN,
    )
    ema: Fraction = key(
        0.0,
        "Decay of an average of the weights, kept in f32 beside them: each "
        "step average = ema x average + (1 - ema) x weights. `eisbach export "
        "--ema` takes it. 0 keeps none.",
        known_as="ema_decay",
    )
    validate_every: Natural = key(
        100, "Steps between two validations; 0 validates at the end only."
    )
    validation_batches: Count = key(
        8, "Batches of `global_batch` sequences in one validation."
    )
