"""Section `precision`: what the arithmetic is done in."""

from typing import Annotated, Literal

from pydantic import Field

from eisbach.config.section import Section, key

F16 = {"precision.compute": "f16"}
# The core's ops/loss_scale.h has the same bounds.
LossScale = Annotated[float, Field(ge=1, le=2**24)]
Window = Annotated[int, Field(ge=1, le=2**24)]


class PrecisionSection(Section):
    """What the arithmetic is done in."""

    compute: Literal["auto", "f32", "bf16", "f16"] = key(
        "auto",
        "Type of weights and activations in forward and backward; master "
        "weights and gradients are always f32. `auto`: bf16 on GPUs and where "
        "the CPU multiplies it (AVX512-BF16, AMX), else f32. `f16` multiplies "
        "the loss by a scale that follows the gradients.",
        known_as="dtype torch_dtype",
        words={
            "float32": "f32",
            "fp32": "f32",
            "float": "f32",
            "bfloat16": "bf16",
            "float16": "f16",
            "fp16": "f16",
            "half": "f16",
        },
    )
    tf32: bool = key(
        False,
        "Lets GPUs round the operands of f32 matmuls to 10 bits (TF32), for "
        "which they have hardware. No effect on the CPU.",
        only={"precision.compute": "f32"},
    )
    initial_loss_scale: LossScale = key(
        65536.0,
        "What the loss is multiplied by in backward at first, best a power of "
        "2. A step whose gradients overflow is skipped and halves it.",
        only=F16,
    )
    loss_scale_window: Window = key(
        1000,
        "Steps without overflow after which the loss scale doubles.",
        only=F16,
    )
