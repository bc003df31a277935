"""What a public function says of an argument of another type."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
# Longer values are cut.
_SHOWN = 60


def takes(**kinds: Any) -> Callable[[F], F]:
    """Makes a function refuse arguments that are not of their types.

    The message is as the core's: `make_mesh: config=None; it takes a Config`.

    Args:
      kinds: By argument a type, a tuple of them, or a list of one: a list or
        tuple of such values. An argument whose default is None takes it.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs).arguments
            for name, kind in kinds.items():
                optional = signature.parameters[name].default is None
                if name not in given or (optional and given[name] is None):
                    continue
                _check(function.__name__, name, given[name], kind)
            return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate


def _check(function: str, name: str, value: Any, kind: Any) -> None:
    if isinstance(kind, list):
        if isinstance(value, (list, tuple)):
            for i, element in enumerate(value):
                _check(function, f"{name}[{i}]", element, kind[0])
            return
        wanted = f"a list of {kind[0].__name__}"
    else:
        kinds = kind if isinstance(kind, tuple) else (kind,)
        truth = isinstance(value, bool) and bool not in kinds
        if isinstance(value, kinds) and not truth:
            return
        wanted = " or ".join(f"a {one.__name__}" for one in kinds)
        wanted = wanted.replace("a int", "an int")
    raise TypeError(f"{function}: {_got(name, value)}; it takes {wanted}")


def _got(name: str, value: Any) -> str:
    if value is None or isinstance(value, (str, int, float)):
        text = repr(value)
        return f"{name}={text[:_SHOWN]}{'...' if len(text) > _SHOWN else ''}"
    kind = type(value)
    home = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{name} is a {home}{kind.__qualname__}"
