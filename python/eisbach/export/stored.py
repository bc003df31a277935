"""Where a logical tensor lies among the tensors of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.config.model import ModelSection


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


def rows_of(projection: str, model: ModelSection) -> int:
    """Returns the rows of one, as in `attention.query`, that is stacked."""
    heads = {
        "attention.query": model.heads,
        "attention.key": model.kv_heads,
        "attention.value": model.kv_heads,
    }
    if projection in heads:
        return heads[projection] * model.head_dim
    return model.ffn_hidden
