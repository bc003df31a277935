"""`eisbach export`: a model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    folder: Annotated[
        str,
        typer.Argument(
            help="The folder of a run, a checkpoint or RUN@STEP, or the folder "
            "of a model with `config.json` and `model.safetensors`.",
            metavar="FOLDER",
        ),
    ],
    *,
    format: Annotated[
        Literal["hf", "gguf"],
        typer.Option(
            help="`hf`: a folder for transformers. `gguf`: a file for "
            "llama.cpp; it needs `pip install 'eisbach[gguf]'`."
        ),
    ] = "hf",
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder or file to write. Default: `model` in the run, "
            "`model-step-N` where a step is named, and `.gguf` after it."
        ),
    ] = None,
    checkpoint: Annotated[
        int | None,
        typer.Option(
            metavar="STEP",
            help="Take this checkpoint. Default: the model of a run that has "
            "ended, else its newest checkpoint.",
        ),
    ] = None,
    dtype: Annotated[
        Literal["f32", "bf16", "f16"], typer.Option(help="Of the weights.")
    ] = "f32",
    force: Annotated[
        bool, typer.Option("--force", help="Replace what is there.")
    ] = False,
) -> None:
    """Write the model of a run for transformers or llama.cpp.

    Runs on one process, whatever layout the model was trained on, also while
    the run goes on. `eisbach checkpoint export` is the same command.

    Examples:

    * `eisbach export runs/gpt_bytes` (of a run that has not come to its end)

    * `eisbach export runs/gpt_bytes --checkpoint 200`, or runs/gpt_bytes@200

    * `eisbach export runs/gpt_bytes --format gguf --dtype bf16`
    """  # noqa: D412
    from eisbach.export import export_model, write_gguf
    from eisbach.export.source import find_source
    from eisbach.run.folder import has_config

    source = find_source(folder, checkpoint=checkpoint)
    if output is None:
        part = f"model-step-{source.step}" if source.named else "model"
        output = source.home / (f"{part}.gguf" if format == "gguf" else part)
    if has_config(output):
        raise ValueError(
            f"{output} is a run folder, which no model replaces; without "
            f"--output it goes to {output}/model"
        )
    if output.exists() and not force:
        raise ValueError(
            f"{output} exists; --force replaces it, another --output keeps it"
        )
    write = write_gguf if format == "gguf" else export_model
    write(
        output,
        source.model,
        source.parameters,
        source.tokenizer,
        dtype=dtype,
        ends=source.ends,
    )
    print(f"{output}: {source.path} in {dtype}")
