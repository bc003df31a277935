"""Section `run`: where a run writes, and on what it runs."""

from typing import Annotated, Literal

from pydantic import Field

from eisbach.config.section import (
    Auto,
    Count,
    FilePath,
    NonNegative,
    Section,
    Seed,
    Text,
    key,
)

Port = Annotated[int, Field(ge=0, le=65535)]


class RunSection(Section):
    """Where a run writes, and on what it runs."""

    name: Text = key(
        "auto",
        "Name of the run folder; `auto` takes the name of the file. A folder "
        "that exists is left alone and `NAME-2` is made.",
    )
    dir: FilePath = key(
        "runs", "Folder that holds the run folders; `~` is the home folder."
    )
    seed: Seed = key(1234, "Seed of initial weights, data order and dropout.")
    device: Literal["auto", "cpu", "cuda"] = key(
        "auto",
        "Device that computes: `cuda` is one NVIDIA GPU a rank. `auto` takes "
        "GPUs where there are some, else the CPU.",
        words={"gpu": "cuda", "nvidia": "cuda"},
    )
    cuda_graphs: bool = key(
        True,
        "On GPUs, capture the third step as a CUDA graph and replay it from "
        "then on; `false` gives every step to the GPU call by call. No effect "
        "on the CPU.",
    )
    threads: Auto | Count = key(
        "auto",
        "Threads of each rank, at most 16 for each core that it may use; "
        "`auto` divides the cores of the host among its ranks.",
    )
    hours: NonNegative = key(
        0.0,
        "Hours after which the run writes a checkpoint and ends with status "
        "75, which says that it is to be started again; 0 for no limit. Under "
        "`eisbach run` they count from its start, over all restarts.",
        known_as="max_time time_limit max_hours",
    )
    hardware: Text = key(
        "auto",
        "Machine that a step is foretold for, to be set beside what it took "
        "at the end: a name or file of `eisbach plan --hardware`, or `none`. "
        "`auto`: `this-machine` on a CPU, where `eisbach plan --calibrate` has "
        "described it.",
    )
    log_every: Count = key(10, "Steps between two lines of progress.")
    followers: list[Literal["mlflow", "wandb"]] = key(
        [],
        "Trackers that are told what the run writes, each by a process beside "
        "it that may fail; `eisbach follow` starts one for a run that exists.",
    )
    metrics_port: Port = key(
        0,
        "Port of 127.0.0.1 where Prometheus reads the newest figures, at "
        "`/metrics`; 0 for none.",
    )
