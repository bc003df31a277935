"""What a run only shows may fail; the run goes on without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from eisbach.run.output import warn

P = ParamSpec("P")
T = TypeVar("T")


class Shown:
    """Calls what is only for show, until it fails once.

    The failure is a warning that names it. From then on nothing is called.
    """

    def __init__(self, name: str, *, tells: bool = True):
        """Names what is shown.

        Args:
          name: As a warning says it: "the loss curve".
          tells: Whether this rank warns.
        """
        self._name = name
        self._tells = tells
        self._failed = False

    def __call__(
        self, show: Callable[P, T], *args: P.args, **options: P.kwargs
    ) -> T | None:
        """Returns what `show` does; None where it fails or has failed."""
        if self._failed:
            return None
        try:
            return show(*args, **options)
        except Exception as error:
            self._failed = True
            if self._tells:
                kind = type(error).__name__
                warn(f"{self._name} is left out from here on: {kind}: {error}")
            return None
