"""`eisbach import`: looks through a model's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of Hugging Face's form: config.json, safetensors, "
            "tokenizer.",
            metavar="FOLDER",
        ),
    ],
) -> None:
    """Check a folder that others have trained, and tell what is in it.

    Every key of its `config.json` must be understood, every tensor used, every
    value finite. Nothing is written and no model is held in memory. A training
    begins with it by `model.from=FOLDER`.

    Examples:

    * `eisbach import models/Qwen3-0.6B`

    * `eisbach train model.from=models/Qwen3-0.6B model.context=1024 data.train=notes.txt`
    """  # noqa: D412, E501
    from eisbach.export.checking import check_folder, table

    found = check_folder(folder)
    print("\n".join(table(found)))
    # Rows as long as many models were made for take much memory.
    shorter = "model.context=1024 " * (found.model.context > 1024)
    print(
        f"\ntrain it with: eisbach train model.from={folder} {shorter}"
        "data.train=FILE"
    )
