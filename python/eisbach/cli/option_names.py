"""What the core says of a command's terms, in the words of its options."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator


@contextlib.contextmanager
def options_named(*names: str) -> Iterator[None]:
    """Spells `name=value` in errors inside as people type it.

    `experts_per_token=9` becomes `--experts-per-token 9`; keys of the
    configuration stay as they are.

    Args:
      names: Of terms that are options.
    """
    try:
        yield
    except ValueError as error:
        message = as_options(str(error), names)
        if message == str(error):
            raise
        raise ValueError(message) from error


def as_options(message: str, names: tuple[str, ...]) -> str:
    """Returns a message that names options as people type them."""
    known = "|".join(map(re.escape, names))
    return re.sub(
        rf"(?<![\w.])({known})=",
        lambda found: f"--{found[1].replace('_', '-')} ",
        message,
    )
