"""What is in token files, by which a run knows them again."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from eisbach.data.prepare import cache_folder

if TYPE_CHECKING:
    from eisbach import _C


def contents(prefixes: Sequence[str]) -> list[dict[str, str]]:
    """Reads token files once through, where the cache does not know them.

    Args:
      prefixes: Paths without suffix.

    Returns:
      For each what `.bin`, `.idx` and, where there is one, `.mask` hold,
      wherever they lie: equal for equal bytes alone.

    Raises:
      ValueError: One is no regular file.
      OSError: One cannot be read.
    """
    from eisbach import _C

    cache = cache_folder() / "content"
    return [
        {
            suffix: _C.file_content(f"{prefix}.{suffix}", cache)
            for suffix in ("bin", "idx", "mask")
            if suffix != "mask" or os.path.lexists(f"{prefix}.mask")
        }
        for prefix in prefixes
    ]


def shared_contents(
    world: _C.World, prefixes: Sequence[str]
) -> list[dict[str, str]]:
    """As `contents`, read by rank 0 for all; collective."""
    told = json.dumps(contents(prefixes)) if world.rank == 0 else ""
    return json.loads(world.broadcast(told))
