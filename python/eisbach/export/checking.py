"""What a folder of others holds, and whether all of it can be read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.config import load_config, resolve
from eisbach.core_config import complete, engine_config
from eisbach.data.template_files import has_template
from eisbach.export.places import find_places
from eisbach.export.source import folder_tokenizer
from eisbach.export.tensors import Tensors

if TYPE_CHECKING:
    from eisbach.config.model import ModelSection
    from eisbach.data.tokenizer import Tokenizer

_SIZES = ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn_hidden")


@dataclass(frozen=True)
class Checked:
    """A folder of which every value was read.

    Attributes:
      model: What it describes.
      parameters: Trained numbers, tied tables once.
      types: How many tensors there are of each type.
      files: How many files of weights.
      size: Their bytes.
      tokenizer: None where it has none.
      template: Whether it says how a conversation is written.
    """

    model: ModelSection
    parameters: int
    types: dict[str, int]
    files: int
    size: int
    tokenizer: Tokenizer | None
    template: bool


def check_folder(folder: Path) -> Checked:
    """Reads all of a folder and keeps nothing of its weights.

    Raises:
      ValueError: A file is damaged, a weight is not finite, or the model
        cannot be computed here.
      OSError: A file is missing.
    """
    from eisbach import _C

    config = complete(resolve(load_config(None, [f"model.from={folder}"])))
    world = _C.sim_world(0, 1, device="meta")
    context = _C.ParallelContext(world, _C.Mesh(1))
    engine = _C.Engine(engine_config(config), context)
    tensors = Tensors(folder)
    engine.load_foreign(find_places(tensors, config.model))
    return Checked(
        config.model,
        engine.config.model.parameters,
        dict(Counter(tensors.types.values())),
        len(tensors.files),
        sum(os.path.getsize(path) for path in tensors.files),
        folder_tokenizer(folder, config.model.vocab),
        has_template(folder),
    )


def table(checked: Checked) -> Iterator[str]:
    """Spells what was found, a line a row."""
    model = checked.model
    types = ", ".join(f"{n} {kind}" for kind, n in checked.types.items())
    rope = model.rope_scaling
    if rope != "none":
        rope = f"{rope} x {model.rope_factor:g}"
    vocabulary = "none; give data.tokenizer"
    if checked.tokenizer:
        vocabulary = f"{checked.tokenizer.vocab:,} tokens"
    rows = {
        "family": f"{model.family}, {checked.parameters:,} parameters",
        "sizes": ", ".join(f"{name} {getattr(model, name)}" for name in _SIZES),
        "vocabulary": f"{model.vocab:,} rows",
        "head": "the token embedding" if model.tie_embeddings else "its own",
        "context": f"{model.context:,} tokens; rope_scaling {rope}",
        "weights": f"{types} tensors in {checked.files} files, "
        f"{checked.size / 2**20:,.1f} MiB; all finite",
        "tokenizer": vocabulary,
        "template": "yes" if checked.template else "no",
    }
    for name, value in rows.items():
        yield f"{name:<12}{value}"
