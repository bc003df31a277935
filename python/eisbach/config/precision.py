"""Section `precision`: what the arithmetic is done in."""

from typing import Literal

from eisbach.config.section import Section, key


class PrecisionSection(Section):
    """What the arithmetic is done in."""

    compute: Literal["auto", "f32", "bf16"] = key(
        "auto",
        "Type of weights and activations in forward and backward; master "
        "weights and gradients are always f32. `auto`: bf16 on GPUs and where "
        "the CPU multiplies it (AVX512-BF16, AMX), else f32.",
    )
