"""A run of step 0 whose weights are those of a model's folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.config.rules import show
from eisbach.export.reading import read_model
from eisbach.export.source import folder_tokenizer
from eisbach.run.output import warn

if TYPE_CHECKING:
    from eisbach.config import Config
    from eisbach.config.model import ModelSection
    from eisbach.job import Job


def import_model(folder: Path, config: Config, output: Path) -> Job:
    """Makes a run folder with a checkpoint of step 0; collective.

    A training goes on from it as from any other: optimizer state is that of
    a start.

    Args:
      folder: With `config.json` and `model.safetensors`, of a kind that
        `read_model` reads.
      config: Resolved. What the folder says of the model it may leave out.
      output: Run folder to make.

    Returns:
      The job, whose folder is released.

    Raises:
      ValueError: There is something at `output`; the model cannot be computed
        here; or `config` says otherwise of it.
    """
    from eisbach.job import begin_save, set_up

    if os.path.lexists(output):
        raise ValueError(
            f"{output} exists, and a run folder is never replaced; give "
            "another --output"
        )
    found = read_model(folder)
    config = _with_model(config, found.model, folder)
    home = output.absolute()
    config = config.derive("run.dir", str(home.parent), "--output")
    config = config.derive("run.name", home.name, "--output")
    job = set_up(config)
    try:
        own = folder_tokenizer(folder, found.model.vocab)
        differs = own is not None and own.digest != job.tokenizer.digest
        if differs and job.world.rank == 0:
            warn(
                f"{folder}: its tokenizer is not the one of this run, "
                f"data.tokenizer={config.data.tokenizer}: the weights know "
                "other tokens"
            )
        job.engine.scatter(found.parameters)
        begin_save(job)
        job.engine.finish_save().check()
    except BaseException:
        if job.world.rank == 0:
            job.folder.release()
            shutil.rmtree(job.folder.path, ignore_errors=True)
        raise
    job.folder.release()
    return job


def _with_model(config: Config, found: ModelSection, folder: Path) -> Config:
    """Takes over what a folder says of its model.

    Raises:
      ValueError: The configuration gives another value.
    """
    wrong = []
    for name in sorted(found.model_fields_set):
        key, value = f"model.{name}", getattr(found, name)
        own, origin = getattr(config.model, name), config.origin(key)
        given = origin != "default" and not origin.startswith("derived")
        if given and own not in (value, "auto"):
            wrong.append(
                f"{origin}: {key}={show(own)}, and {folder} has {show(value)}"
            )
        elif own != value:
            config = config.derive(key, value, str(folder))
    if wrong:
        raise ValueError(
            "; ".join(wrong) + "; leave out what the folder says itself"
        )
    return config
