"""What a checkpoint's manifest says, read and checked by the core."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Manifest:
    """The manifest of a checkpoint.

    Attributes:
      members: All that it says, by its own names.
    """

    members: dict[str, Any]

    @property
    def hash(self) -> str:
        """Of all else that it says: tells the checkpoint from all others."""
        return self.members["xxh64"]

    @property
    def step(self) -> int:
        """Steps done."""
        return self.members["step"]

    @property
    def layout(self) -> dict[str, int]:
        """Ranks along each axis."""
        return self.members["layout"]

    @property
    def config(self) -> dict[str, Any]:
        """What must be the same to go on with it."""
        return self.members["config"]

    @property
    def files(self) -> list[dict[str, Any]]:
        """Names, sizes and hashes, and which ranks wrote them."""
        return self.members["files"]

    def sizes(self) -> dict[str, int]:
        """Returns the bytes of each file by its name."""
        return {file["name"]: file["bytes"] for file in self.files}


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest of a checkpoint.

    Raises:
      ValueError: It is damaged, or of a folder of another name.
      OSError: It is missing.
    """
    from eisbach import _C

    return Manifest(json.loads(_C.read_manifest(folder)))
