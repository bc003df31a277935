"""Section `run`: where a run writes, and on what it runs."""

from typing import Literal

from eisbach.config.section import (
    Auto,
    Count,
    FilePath,
    Section,
    Seed,
    Text,
    key,
)


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
        "Threads of each rank; `auto` divides the cores of the host among "
        "its ranks.",
    )
    log_every: Count = key(10, "Steps between two lines of progress.")
