"""Types in which weights are handed out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Our name, and how config.json spells it.
DTYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}


def cast(name: str, value: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Returns `value` in another type.

    Raises:
      ValueError: A weight is outside the type's range; `name` is named.
    """
    import ml_dtypes

    if value.dtype == np.float32 and dtype == "f32":
        return value
    to = ml_dtypes.bfloat16 if dtype == "bf16" else np.dtype(DTYPES[dtype])
    with np.errstate(over="ignore"):
        result = value.astype(to, copy=False)
    if not np.isfinite(result).all():
        worst = float(np.abs(value).max())
        limit = float(ml_dtypes.finfo(to).max)
        raise ValueError(
            f"{name}: a weight of {worst:g} is outside {dtype}, whose largest "
            f"number is {limit:g}; bf16 and f32 reach 3.4e38 (--dtype)"
        )
    return result
