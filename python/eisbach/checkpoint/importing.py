"""A run of step 0 whose weights are those of a model's folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eisbach.config import Config
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
    config = config.derive("model.from", str(folder), "FOLDER")
    home = output.absolute()
    config = config.derive("run.dir", str(home.parent), "--output")
    config = config.derive("run.name", home.name, "--output")
    job = set_up(config)
    try:
        begin_save(job)
        job.engine.finish_save().check()
    except BaseException:
        if job.world.rank == 0:
            job.folder.release()
            shutil.rmtree(job.folder.path, ignore_errors=True)
        raise
    job.folder.release()
    return job
