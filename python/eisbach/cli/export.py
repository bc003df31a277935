"""`eisbach export`: a model for other programs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from eisbach.cli.arguments import MisuseError

_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}


def command(
    folder: Annotated[
        str,
        typer.Argument(
            help="The folder of a run, a checkpoint or RUN@STEP, or the folder "
            "of a model with `config.json` and `model.safetensors`, or of "
            "adapters with `adapter_config.json`.",
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
        Literal["auto", "f32", "bf16", "f16"],
        typer.Option(
            help="Of the weights. `auto`: what the folder of `model.from` "
            "has; `f32` for a model that began with random weights."
        ),
    ] = "auto",
    shard_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Most of one file of weights, such as 500MB; there is an "
            "index beside several. Default: 5GB. GGUF is one file.",
        ),
    ] = None,
    adapter: Annotated[
        bool,
        typer.Option(
            "--adapter",
            help="Write the adapters of a run alone, for PEFT. Without it "
            "they are merged into the model.",
        ),
    ] = False,
    ema: Annotated[
        bool,
        typer.Option(
            "--ema",
            help="Take the average of the weights that `train.ema` keeps, of "
            "the newest checkpoint unless one is named. Default of --output: "
            "`model-ema` in the run.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what is there.")
    ] = False,
) -> None:
    """Write the model of a run for transformers or llama.cpp.

    Runs on one process, whatever layout the model was trained on, also while
    the run goes on. Adapters (LoRA) are merged in f32, and logits before and
    after compared. `eisbach checkpoint export` is the same command.

    Examples:

    * `eisbach export runs/gpt_bytes` (of a run that has not come to its end)

    * `eisbach export runs/gpt_bytes --checkpoint 200`, or runs/gpt_bytes@200

    * `eisbach export runs/tuned --dtype bf16 --shard-size 2GB`

    * `eisbach export runs/gpt_bytes --format gguf --dtype bf16`

    * `eisbach export runs/averaged --ema`

    * `eisbach export runs/tuned --adapter --output adapters/tuned`
    """  # noqa: D412
    from eisbach.export import export_model, write_gguf
    from eisbach.export.adapted import adapted_at
    from eisbach.export.carried import read_carried
    from eisbach.export.merging import merge
    from eisbach.export.source import find_source

    whole = format == "hf" and shard_size is None
    if adapter and not (whole and dtype in ("auto", "f32")):
        raise MisuseError(
            "--adapter writes the folder of PEFT in f32: leave --format, "
            "--dtype and --shard-size out"
        )
    if format == "gguf" and shard_size is not None:
        raise MisuseError("--shard-size is of folders: GGUF is one file")
    with adapted_at(folder, checkpoint=checkpoint, average=ema) as adapted:
        found = adapted or find_source(
            folder, checkpoint=checkpoint, average=ema
        )
        if output is None:
            part = "adapter" if adapter else "model"
            part += "-ema" if ema else ""
            part += f"-step-{found.step}" if found.named else ""
            suffix = ".gguf" if format == "gguf" else ""
            output = found.home / f"{part}{suffix}"
        _check(output, format, force=force)
        if adapter:
            if adapted is None:
                raise ValueError(f"{folder}: has no adapters (--adapter)")
            adapted.write_to(output)
            print(f"{output}: {adapted.path}")
            return
        if dtype == "auto":
            base = read_carried(adapted.base) if adapted else found.carried
            dtype = base.dtype or "f32"
        if adapted:
            source, proof = merge(adapted, dtype=dtype)
            print(proof)
        else:
            source = found
    if format == "gguf":
        remarks = write_gguf(
            output,
            source.carried.of(source.model),
            source.parameters,
            source.tokenizer,
            dtype=dtype,
            ends=source.ends,
        )
        for remark in remarks:
            print(f"note: {remark}")
    else:
        export_model(
            output,
            source.model,
            source.parameters,
            source.tokenizer,
            dtype=dtype,
            ends=source.ends,
            carried=source.carried,
            page=source.page(),
            shard_bytes=_bytes(shard_size or "5GB"),
        )
    print(f"{output}: {source.path} in {dtype}")


def _bytes(size: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]B)", size.strip().upper())
    count = float(found[1]) * _UNITS[found[2]] if found else 0
    if count < 1:
        raise MisuseError(
            f"--shard-size {size}: a number and KB, MB or GB, such as 5GB"
        )
    return int(count)


def _holds_other_things(folder: Path, format: str) -> bool:
    """Whether a folder is none that an export has written, nor empty."""
    if format == "gguf":
        return True
    names = [path.name for path in folder.iterdir()]
    own = ("config.json", "adapter_config.json")
    return bool(names) and not any(
        name in own or name.endswith(".safetensors") for name in names
    )


def _check(output: Path, format: str, *, force: bool) -> None:
    from eisbach.run.folder import has_config

    if has_config(output):
        raise ValueError(
            f"{output} is a run folder, which no model replaces; without "
            f"--output it goes to {output}/model"
        )
    if output.is_dir() and _holds_other_things(output, format):
        raise ValueError(
            f"{output} is a folder that holds other things than a model, which "
            "none replaces: take another --output"
        )
    if output.exists() and not force:
        raise ValueError(
            f"{output} exists; --force replaces it, another --output keeps it"
        )
