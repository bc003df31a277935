"""What every section of the configuration is made of: types and keys."""

from __future__ import annotations

import functools
import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

# The kind of an error whose message is for people as it stands.
SAID = "said"

Auto = Literal["auto"]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Natural = Annotated[int, Field(ge=0, le=2**31 - 1)]
# Of a job, and layers or parts of a model: more than anybody has.
MOST_RANKS = 2**20
MOST_LAYERS = 2**16
Ranks = Annotated[int, Field(ge=1, le=MOST_RANKS)]
Layers = Annotated[int, Field(ge=1, le=MOST_LAYERS)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Text = Annotated[str, Field(min_length=1)]


def _expand_home(path: str) -> str:
    full = os.path.expanduser(path)
    if full.startswith("~"):
        user = full.partition("/")[0]
        raise PydanticCustomError(
            SAID, f"{user}: there is no such user; `./{full}` is a file"
        )
    return full


# The path of a file or folder; `~` is the home folder.
FilePath = Annotated[Text, AfterValidator(_expand_home)]


class Section(BaseModel):
    """A section: unknown keys, loose types and changes are errors."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False
    )


@functools.cache
def schema_of(kind: type[Section]) -> dict[str, Any]:
    """Returns the JSON schema of a section, with those that it holds."""
    return kind.model_json_schema()


def key(
    default: Any,
    doc: str,
    *,
    only: dict[str, str | bool | tuple[str | int, ...]] | None = None,
    known_as: str = "",
    words: dict[str, str] | None = None,
) -> Any:
    """Declares a key of a section; its type annotation says the range.

    Args:
      default: The value that it has where no file and no option gives one;
        `...` where one must.
      doc: One line for people, shown in docs/configuration.md and editors.
      only: Keys and the value, or one of those, that each must have for this
        key to mean anything, as in `{"model.family": "llama"}`.
      known_as: What other programs call it, with blanks between: a message
        about such a key names this one.
      words: Values of other programs and which of ours they mean, as in
        `{"fp32": "f32"}`: a message about such a value names ours.
    """
    extra: dict[str, Any] = {}
    if only:
        extra["only"] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in only.items()
        }
    if known_as:
        extra["knownAs"] = known_as.split()
    if words:
        extra["words"] = words
    return Field(default, description=doc, json_schema_extra=extra or None)
