"""What every section of the configuration is made of: types and keys."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Auto = Literal["auto"]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Natural = Annotated[int, Field(ge=0, le=2**31 - 1)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Text = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A section: unknown keys, loose types and changes are errors."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False
    )


def key(default: Any, doc: str, *, only: dict[str, str] | None = None) -> Any:
    """Declares a key of a section; its type annotation says the range.

    Args:
      default: The value that it has where no file and no option gives one.
      doc: One line for people, shown in docs/configuration.md and editors.
      only: Keys and the value that each must have for this key to mean
        anything, as in `{"model.family": "llama"}`.
    """
    extra = {"only": only} if only else None
    return Field(default, description=doc, json_schema_extra=extra)
