"""What a run has trained, as the folder `model/` at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eisbach.export.card import card
from eisbach.export.carried import read_carried
from eisbach.export.folder import export_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.job import Job


def export_run(job: Job, parameters: dict[str, NDArray[Any]]) -> None:
    """Writes the model of a job, in the type of the folder that it is from."""
    carried = read_carried(job.folder.base)
    export_model(
        job.folder.model,
        job.config.model,
        parameters,
        job.tokenizer,
        dtype=carried.dtype or "f32",
        carried=carried,
        card=card(job.folder),
    )
