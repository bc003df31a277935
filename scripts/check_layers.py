#!/usr/bin/env python3
"""Checks who includes whom in csrc/; prints `file:line: reason` for each break.

    python scripts/check_layers.py [ROOT]

The table of the house: a folder includes itself and what stands beside it
here. SDK headers stay in the folders that wrap them, and a backend folder
(`cpu`, `mpi`, ...) is included by the same backend alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

NUMERICS = ("core", "device", "tensor", "ops")
BELOW_PARALLEL = (*NUMERICS, "autograd", "comm", "nn", "optim")
BELOW_MODELS = (*BELOW_PARALLEL, "parallel", "data")
BELOW_TRAIN = (*BELOW_MODELS, "models", "checkpoint")
MAY_INCLUDE = {
    "core": (),
    "device": ("core",),
    "tensor": ("core", "device"),
    "ops": ("core", "device", "tensor"),
    "autograd": NUMERICS,
    "comm": ("core", "device", "tensor"),
    "watch": ("core", "device", "tensor", "comm"),
    "nn": (*NUMERICS, "autograd"),
    "optim": ("core", "tensor", "ops"),
    "parallel": BELOW_PARALLEL,
    "data": ("core", "device", "tensor"),
    "models": BELOW_MODELS,
    "checkpoint": BELOW_MODELS,
    "train": (*BELOW_TRAIN, "watch"),
    "plan": (*BELOW_TRAIN, "train", "watch"),
    "bindings": (*BELOW_TRAIN, "train", "plan", "watch"),
}
BACKENDS = ("cpu", "cuda", "meta", "local", "mpi", "shm", "nccl", "sim")
# What a backend offers to others, beside its own name on other floors.
OFFERED = {
    "device/cpu/copy.h": ("comm",),
    "device/cpu/parallel_for.h": ("checkpoint",),
    "device/cpu/reduce.h": ("comm",),
    "device/cuda/cuda_device.h": ("comm/nccl",),
    "device/cuda/cuda_stream.h": ("comm/nccl",),
    "device/cuda/event_pool.h": ("comm/nccl",),
    "device/cuda/status.h": ("comm/nccl",),
}
# What everybody can compute and test without anything.
INTEGERS_ONLY = ("parallel/mesh", "parallel/topology")
# Headers of SDKs, and the folders (suffixes of the path) that may see them.
SDKS = (
    (r"(cuda|cublas|cudnn|cuda_runtime)[\w]*\.h|cuda/|cub/|thrust/|cudnn",
     ("cuda", "comm/nccl")),
    (r"nccl", ("comm/nccl",)),
    (r"nvml\.h", ("device/cuda",)),
    (r"mpi\.h", ("comm/mpi",)),
    (r"pybind11/|Python\.h|numpy/", ("bindings",)),
    (r"dnnl|oneapi/|cblas|openblas", ("ops/cpu",)),
    (r"hwy/", ("ops/cpu", "device/cpu")),
)  # fmt: skip
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
SOURCES = (".h", ".cc", ".cu", ".cuh")


def backend(path: PurePosixPath) -> str:
    """Returns the backend folder that a path of csrc lies in, or ""."""
    return next((p for p in path.parts[1:-1] if p in BACKENDS), "")


def parallel_part(path: PurePosixPath) -> str:
    """Returns `tensor` for parallel/tensor/x.h, "" for parallel/mesh.h."""
    inside = path.parts[0] == "parallel" and len(path.parts) > 2
    return path.parts[1] if inside else ""


def breaks_quoted(file: PurePosixPath, header: str) -> str:
    """Says why `file` may not include "header"; empty if it may."""
    target = PurePosixPath(header)
    folder, floor = file.parts[0], target.parts[0]
    if floor not in MAY_INCLUDE or ".." in target.parts:
        return f'"{header}" is no path from csrc'
    if floor != folder and floor not in MAY_INCLUDE[folder]:
        allowed = ", ".join(MAY_INCLUDE[folder]) or "std and Abseil"
        return f'{folder} may not include "{header}"; it may: {allowed}'
    integers = f"parallel/{file.stem}"
    if integers in INTEGERS_ONLY and floor not in ("core", "parallel"):
        return f'{integers} may not include "{header}"; it may: core'
    mine, other = parallel_part(file), parallel_part(target)
    if mine and other and mine != other:
        return f'parallel/{mine} may not include parallel/{other}: "{header}"'
    if folder == "parallel" and not mine and other:
        return f'what all of parallel shares may not include "{header}"'
    wrapped = backend(target)
    where = f"{file.parent}/"
    offered = any(where.startswith(f"{o}/") for o in OFFERED.get(header, ()))
    if wrapped and wrapped != backend(file) and not offered:
        return f'"{header}" is included from outside its backend'
    return ""


def breaks_sdk(file: PurePosixPath, header: str) -> str:
    """Says why `file` may not see the SDK header; empty if it may."""
    for pattern, homes in SDKS:
        if not re.match(pattern, header):
            continue
        where = PurePosixPath(*file.parent.parts)
        if not any(f"/{home}/" in f"/{where}/" for home in homes):
            return f"<{header}> only in {' and '.join(homes)}"
    return ""


def check(root: Path) -> Iterator[str]:
    """Yields `file:line: reason` for each include that breaks a rule."""
    csrc = root / "csrc"
    for path in sorted(p for p in csrc.rglob("*") if p.suffix in SOURCES):
        file = PurePosixPath(path.relative_to(csrc).as_posix())
        at = f"csrc/{file}"
        if len(file.parts) < 2 or file.parts[0] not in MAY_INCLUDE:
            yield f"{at}:1: no folder of the house"
            continue
        text = path.read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            if not (found := INCLUDE.match(line)):
                continue
            quoted, angled = found.groups()
            header = quoted or angled
            reason = breaks_sdk(file, header)
            abseil = header.startswith("absl/")
            if abseil and file.suffix in (".cu", ".cuh"):
                reason = f"{file.suffix} files never see Abseil: {header}"
            library = re.match(r"absl/|nlohmann/|gtest/|gmock/|hwy/", header)
            outside = library or any(re.match(p, header) for p, _ in SDKS)
            if quoted and not outside:
                reason = reason or breaks_quoted(file, quoted)
            if reason:
                yield f"{at}:{number}: {reason}"


def main() -> int:
    """Prints what breaks; returns the exit status."""
    default = Path(__file__).resolve().parents[1]
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    problems = list(check(root))
    print("\n".join(problems) if problems else "layers: all as in the table")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
