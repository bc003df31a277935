"""Where a logical tensor lies among the tensors of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Stored:
    """One of ours in a file of theirs.

    Attributes:
      name: Of theirs.
      first_row: Of ours, where theirs stacks several.
      rows: How many are ours; None for all.
      transposed: Whether theirs has columns before rows.
    """

    name: str
    first_row: int = 0
    rows: int | None = None
    transposed: bool = False

    def take(self, theirs: NDArray[Any]) -> NDArray[Any]:
        """Returns ours, a view."""
        whole = theirs.T if self.transposed else theirs
        if self.rows is None:
            return whole
        return whole[self.first_row : self.first_row + self.rows]
