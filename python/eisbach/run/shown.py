"""What a run only shows may fail; the run goes on without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from eisbach.run.held import LostError
from eisbach.run.output import warn

P = ParamSpec("P")
T = TypeVar("T")


class Shown:
    """Calls what is only for show, until it fails once.

    The failure is a warning that names it. From then on nothing is called.
    """

    def __init__(self, name: str, *, tells: bool = True, again: bool = False):
        """Names what is shown.

        Args:
          name: As a warning says it: "the loss curve".
          tells: Whether this rank warns.
          again: It is tried again after a failure, without another warning.
        """
        self._name = name
        self._tells = tells
        self._again = again
        self._failed = False

    def __call__(
        self, show: Callable[P, T], *args: P.args, **options: P.kwargs
    ) -> T | None:
        """Returns what `show` does; None where it fails or has failed.

        Raises:
          LostError: The run folder is gone, which is more than a failure.
        """
        if self._failed and not self._again:
            return None
        try:
            return show(*args, **options)
        except LostError:
            raise
        except Exception as error:
            if self._tells and not self._failed:
                kind = type(error).__name__
                what = "failed" if self._again else "is left out from here on"
                warn(f"{self._name} {what}: {kind}: {error}")
            self._failed = True
            return None
