"""Eisbach: distributed training of transformer models.

Names are imported when they are first used, so that `import eisbach` is
quick and a command that only prints help loads nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eisbach.config import Config, ConfigError, load_config, resolve

_HOME = {
    "Config": "eisbach.config",
    "ConfigError": "eisbach.config",
    "load_config": "eisbach.config",
    "resolve": "eisbach.config",
}

__all__ = ["Config", "ConfigError", "load_config", "resolve"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("eisbach")
    if name not in _HOME:
        raise AttributeError(f"module 'eisbach' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME, "__version__"])
