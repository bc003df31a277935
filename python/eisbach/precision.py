"""The compute type where the configuration leaves it open."""

from __future__ import annotations

from eisbach.config import Config

_NATIVE = {"avx512_bf16": "AVX512-BF16", "amx_bf16": "AMX"}


def choose_precision(config: Config, features: list[str]) -> Config:
    """Replaces `precision.compute: auto`; the reason becomes its origin.

    Args:
      config: The configuration; its device is chosen.
      features: Instruction sets of the CPU, as `build_info()["cpu"]` lists
        them.
    """
    if config.precision.compute != "auto":
        return config
    if config.run.device == "cuda":
        return config.derive("precision.compute", "bf16", "run.device: cuda")
    native = [name for flag, name in _NATIVE.items() if flag in features]
    if native:
        reason = f"the CPU multiplies bf16 ({', '.join(native)})"
        return config.derive("precision.compute", "bf16", reason)
    reason = "the CPU has neither AVX512-BF16 nor AMX"
    if "asimd" in features:
        reason = "on aarch64 bf16 is multiplied by way of f32"
    return config.derive("precision.compute", "f32", reason)
