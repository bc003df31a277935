"""The folder that `transformers` loads with `from_pretrained`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.arguments import takes
from eisbach.config.model import ModelSection
from eisbach.export.dtypes import DTYPES, cast
from eisbach.export.families import FAMILIES, describe
from eisbach.export.tokenizer_files import tokenizer_files
from eisbach.files import make_folder, write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.data.tokenizer import Tokenizer

_OTHERS = {
    "chat_template.jinja",
    "model.safetensors.index.json",
    "documents.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


@takes(
    folder=(str, os.PathLike), model=ModelSection, parameters=Mapping, dtype=str
)
def export_model(
    folder: str | os.PathLike[str],
    model: ModelSection,
    parameters: dict[str, NDArray[Any]],
    tokenizer: Tokenizer | None,
    *,
    dtype: str = "f32",
    ends: Sequence[int] | None = None,
) -> None:
    """Writes weights, `config.json` and what a tokenizer needs.

    Args:
      folder: Made if it does not exist; files in it are replaced.
      model: With no `auto`.
      parameters: Logical name to whole, unpadded array.
      tokenizer: Of the run; None where tokens have no known text. Its end of
        document begins and ends texts.
      dtype: `f32`, `bf16` or `f16`.
      ends: Token ids that end a text; None takes the tokenizer's.

    Raises:
      ValueError: A weight is too large for `dtype`.
    """
    from eisbach import _C

    folder = Path(folder)
    family = FAMILIES[model.family]
    make_folder(folder)
    special = _special_ids(tokenizer, ends)
    texts = {"generation_config.json": _json(special)}
    if tokenizer:
        texts.update(tokenizer_files(tokenizer, model))
    # Last: who finds it finds all.
    texts["config.json"] = _json(
        {
            **describe(model),
            **special,
            # Before and since version 5 of transformers.
            "torch_dtype": DTYPES[dtype],
            "dtype": DTYPES[dtype],
        }
    )
    _C.write_safetensors(
        str(folder / "model.safetensors"),
        {
            name: cast(name, value, dtype)
            for name, value in family.to_theirs(parameters, model).items()
        },
        {"format": "pt"},  # transformers asks for it
    )
    for name, text in texts.items():
        write_atomically(folder / name, text)
    for name in _OTHERS - texts.keys():  # of what was there before
        (folder / name).unlink(missing_ok=True)


def _special_ids(
    tokenizer: Tokenizer | None, ends: Sequence[int] | None
) -> dict[str, Any]:
    begin = tokenizer.begin_of_document if tokenizer else ()
    end = tokenizer.end_of_document if tokenizer else None
    if ends is None:
        ends = [] if end is None else [end]
    first = ends[0] if ends else None
    return {
        "bos_token_id": begin[0] if begin else first,
        "eos_token_id": first if len(ends) < 2 else list(ends),
        "pad_token_id": first,
    }


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"
