"""The device where the configuration leaves it open."""

from __future__ import annotations

from eisbach.config import Config


def best_device() -> tuple[str, str]:
    """Returns `cuda` where this process sees a GPU, else `cpu`, and why."""
    from eisbach import _C

    try:
        count = _C.count_devices("cuda")
    except RuntimeError:
        return "cpu", "no GPU to use; `eisbach doctor` says more"
    return "cuda", f"GPUs seen: {count}"


def choose_device(config: Config) -> Config:
    """Replaces `run.device: auto`; the reason becomes its origin."""
    if config.run.device != "auto":
        return config
    return config.derive("run.device", *best_device())
