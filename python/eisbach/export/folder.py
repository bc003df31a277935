"""The folder that `transformers` loads with `from_pretrained`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.arguments import takes
from eisbach.config.model import ModelSection
from eisbach.data.beside import GENERATION, NAMES, TEMPLATE
from eisbach.data.chats import turn_ends
from eisbach.export.carried import Carried, write_carried
from eisbach.export.dtypes import DTYPES
from eisbach.export.families import FAMILIES, describe
from eisbach.export.tokenizer_files import tokenizer_files
from eisbach.export.weights import INDEX, write_weights
from eisbach.files import make_folder, write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.data.tokenizer import Tokenizer

_OTHERS = {
    INDEX,
    "documents.json",
    "tokenizer.json",
    "README.md",
    *NAMES,
}
# Of the weights in one file, as Hugging Face's tools have long done it.
SHARD_BYTES = 5 * 10**9


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
    carried: Carried | None = None,
    page: str | None = None,
    shard_bytes: int = SHARD_BYTES,
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
      carried: Files of the model's own folder, which go along, and what its
        `config.json` says of a context and special ids.
      page: About the model, in Markdown.
      shard_bytes: Most bytes of weights in a file, but for a larger tensor.

    Raises:
      ValueError: A weight is too large for `dtype`.
    """
    carried = carried or Carried()
    model = carried.of(model)
    folder = Path(folder)
    family = FAMILIES[model.family]
    make_folder(folder)
    special = _special_ids(tokenizer, ends)
    special.update(carried.ids())
    texts: dict[str, str | bytes] = {GENERATION: _json(special)}
    texts.update(files_along(tokenizer, model, carried, page))
    if tokenizer:
        texts[GENERATION] = _stopping_at(
            texts[GENERATION], turn_ends(tokenizer)
        )
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
    weights = family.to_theirs(parameters, model)
    texts.update(write_weights(folder, weights, dtype, shard_bytes))
    config = texts.pop("config.json")
    for name in _OTHERS - texts.keys():  # of what was there before
        (folder / name).unlink(missing_ok=True)
    write_carried(folder, texts)
    write_atomically(folder / "config.json", config)


def files_along(
    tokenizer: Tokenizer | None,
    model: ModelSection,
    carried: Carried,
    page: str | None,
) -> dict[str, str | bytes]:
    """Returns the files beside the weights: tokenizer, template, page."""
    made = tokenizer_files(tokenizer, model) if tokenizer else {}
    files: dict[str, str | bytes] = {**made, **carried.files}
    if TEMPLATE in made:  # the run may have another than its base
        files[TEMPLATE] = made[TEMPLATE]
    if page is not None:
        files["README.md"] = page
    return files


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


def _stopping_at(text: str | bytes, ends: list[int]) -> str | bytes:
    """Returns a `generation_config.json` that ends answers at turns' ends, too.

    It stays as it is where it names them, as those of models that came with a
    template of their own do.
    """
    values = json.loads(text)
    said = values.get("eos_token_id")
    own = said if isinstance(said, list) else [] if said is None else [said]
    more = [end for end in dict.fromkeys(ends) if end not in own]
    if not more:
        return text
    every = [*own, *more]
    return _json(
        {**values, "eos_token_id": every if len(every) > 1 else every[0]}
    )


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"
