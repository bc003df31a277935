"""Section `parallel`: how ranks share the work."""

from typing import Annotated, Literal

from pydantic import Field

from eisbach.config.section import Auto, Count, Section, key


class ParallelSection(Section):
    """How ranks share the work; data x tensor x pipeline = ranks."""

    data: Auto | Count = key(
        "auto",
        "Copies of the model that share the batch. `auto`: all ranks that "
        "`tensor` x `pipeline` leaves.",
    )
    tensor: Count = key(1, "Ranks that share each layer.")
    pipeline: Count = key(1, "Stages, each of which holds some layers.")
    schedule: Literal[
        "gpipe", "1f1b", "interleaved", "zero_bubble", "zb_v", "dual_pipe_v"
    ] = key(
        "1f1b",
        "Order of micro-batches in the pipeline; `eisbach schedule` draws it.",
    )
    chunks: Auto | Count = key(
        "auto",
        "Parts of the model that a stage holds. `auto`: as few as the schedule "
        "runs.",
    )
    layers_per_stage: Auto | Annotated[list[Count], Field(min_length=1)] = key(
        "auto",
        "Layers of each stage, first to last. `auto`: balanced by cost.",
    )
