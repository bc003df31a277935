"""What is on this machine: the GPU, NVIDIA's libraries and tools."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Dense bf16 with f32 sums, FLOP/s, from NVIDIA's data sheets (half of what they
# give with sparsity). The first whose words are all in the GPU's name counts.
PEAKS = (
    (("A100",), 312e12),
    (("H100", "PCIe"), 756e12),
    (("H100", "NVL"), 835e12),
    (("H200", "NVL"), 835e12),
    (("H100",), 989e12),
    (("H200",), 989e12),
    (("GB200",), 2500e12),
    (("GB300",), 2500e12),
    (("B200",), 2250e12),
    (("RTX PRO 6000",), 504e12),
)


@dataclass(frozen=True)
class Gpu:
    """The first GPU, in the words of its driver."""

    name: str
    driver: str
    memory: str
    count: int

    @property
    def peak(self) -> float | None:
        """Dense bf16 FLOP/s by its data sheet; None for one not listed."""
        for words, flops in PEAKS:
            if all(word in self.name for word in words):
                return flops
        return None


def find_gpu() -> Gpu | None:
    """The GPU of this machine; None where there is none."""
    command = [
        "nvidia-smi",
        "--query-gpu=name,driver_version,memory.total",
        "--format=csv,noheader",
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False
        )
        lines = done.stdout.splitlines() if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired):
        lines = []
    fields = [[part.strip() for part in line.split(",")] for line in lines]
    found = [field for field in fields if len(field) == 3]
    if found:
        return Gpu(*found[0], count=len(found))
    devices = list(Path("/dev").glob("nvidia[0-9]*"))
    if devices:
        return Gpu("a GPU without nvidia-smi", "?", "?", len(devices))
    return None


def nvidia_folders() -> list[Path]:
    """Folders with NVIDIA's libraries: of its wheels, then of a toolkit."""
    found = []
    for place in map(Path, sys.path):
        found += sorted((place / "nvidia").glob("*/lib"))
    toolkit = Path("/usr/local/cuda/lib64")
    return found + [toolkit] * toolkit.is_dir()


def find_tool(name: str) -> str | None:
    """A tool of NVIDIA's: on PATH, in a toolkit, or in a wheel."""
    places = [os.environ.get("PATH", ""), "/usr/local/cuda/bin"]
    places += [
        str(folder)
        for place in map(Path, sys.path)
        for folder in sorted((place / "nvidia").glob("*/bin"))
    ]
    return shutil.which(name, path=os.pathsep.join(places))
