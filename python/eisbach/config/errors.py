"""Errors in a configuration: where, which key, what rule, what would work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
      origin: `file:line`, `command line`, or the file alone.
      key: Dotted key such as `optimizer.betas[1]`; empty where none applies.
      message: The value, the rule, and the nearest value that works.
    """

    origin: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.origin, self.key) if part) + (
            f": {self.message}"
        )


class ConfigError(ValueError):
    """The configuration cannot be used; `problems` holds every reason."""

    def __init__(self, problems: list[Problem]):
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))
