#!/usr/bin/env python3
"""Checks the GPU code of the CUDA plug-in: tests/golden/cuda_kernels.txt.

    python scripts/check_cuda_binary.py build/release/csrc/libeisbach_cuda.so
    python scripts/check_cuda_binary.py LIBRARY --write   # after a change

A line of the golden file is a kernel: the most registers and the bytes of
static shared memory that it has on any architecture, and `wide` where its loads
and stores of global memory come in pieces of 16 bytes. A kernel must not use
more registers than that (the compiler may use fewer), nor stack or local
memory, which are registers that were spilled; and in the machine code of every
architecture a `wide` kernel must have 16-byte loads and stores. No kernel has
atomic operations on f32, bf16 or f16: their order, and with it the result, is
another in each run. Those on f64 are for whole numbers, which the emulation
checks, in kernels with `whole` in the golden file.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "cuda_kernels.txt"
ARCHITECTURES = ("sm_80", "sm_90a", "sm_100f", "sm_120")
# Room for the next release of the compiler.
SLACK = 1.1


@dataclass(frozen=True)
class Kernel:
    """What one kernel uses at most, over all architectures."""

    registers: int
    shared: int
    local: int
    wide: bool
    atomics: frozenset[str] = frozenset()  # types of atomic operations


def tool(name: str) -> str:
    """The path of one of NVIDIA's tools, from the wheels or the system."""
    site = Path(sys.prefix, "lib")
    for found in site.glob(f"python*/site-packages/nvidia/cu13/bin/{name}"):
        return str(found)
    path = shutil.which(name) or shutil.which(f"/usr/local/cuda/bin/{name}")
    if not path:
        raise SystemExit(f"{name} is not there: scripts/cuda_packages.sh")
    return path


def run(*command: str) -> str:
    """The output of a command that must not fail."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def readable(names: list[str]) -> dict[str, str]:
    """Mangled names to short ones: `NormForwardKernel<__nv_bfloat16, 4>`."""
    filter_ = shutil.which("c++filt")
    if not filter_:
        raise SystemExit("c++filt is not there (apt install binutils)")
    text = subprocess.run(
        [filter_], input="\n".join(names), capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    short = {}
    for mangled, name in zip(names, text.splitlines(), strict=True):
        name = re.sub(r"^void ", "", name)
        name = name.replace("eisbach::cuda::(anonymous namespace)::", "")
        name = name.replace("eisbach::cuda::", "")
        name = re.sub(r"\((?!anonymous).*$", "", name) if "<" not in name else (
            name[: _end_of_template(name)]
        )  # fmt: skip
        short[mangled] = re.sub(r"\((int|bool|unsigned int)\)", "", name)
    return short


def _end_of_template(name: str) -> int:
    depth = 0
    for i, letter in enumerate(name):
        depth += (letter == "<") - (letter == ">")
        if letter == ">" and depth == 0:
            return i + 1
    return len(name)


def resources(library: str) -> dict[str, dict[str, tuple[int, int, int]]]:
    """Of each kernel and architecture: registers, shared, local bytes."""
    text = run(tool("cuobjdump"), "--dump-resource-usage", library)
    found: dict[str, dict[str, tuple[int, int, int]]] = defaultdict(dict)
    architecture = name = ""
    for line in text.splitlines():
        if match := re.match(r"\s*arch = (sm_\w+)", line):
            architecture = match[1]
        elif match := re.match(r"\s*Function (\S+):", line):
            name = match[1]
        elif match := re.search(r"REG:(\d+) STACK:(\d+) SHARED:(\d+)", line):
            local = re.search(r"LOCAL:(\d+)", line)
            spilled = int(match[2]) + (int(local[1]) if local else 0)
            found[name][architecture] = (int(match[1]), int(match[3]), spilled)
    return found


@dataclass
class Code:
    """What the instructions of one kernel on one architecture say."""

    wide_loads: bool = False
    wide_stores: bool = False
    atomics: set[str] = field(default_factory=set)  # F64, F32, BF16, F16


# RED.E.ADD.F32.FTZ.RN.STRONG.GPU, ATOMG.E.ADD.F16x2.RN, ATOMS.ADD.F64
_ATOMIC = re.compile(r"\b(?:ATOM|RED)[GS]?\.\S*\.(B?F(?:16|32|64))")


def codes(library: str) -> dict[str, dict[str, Code]]:
    """Of each kernel and architecture: what its machine code does."""
    found: dict[str, dict[str, Code]] = defaultdict(dict)
    architecture, code = "", Code()
    for line in run(tool("cuobjdump"), "-sass", library).splitlines():
        if match := re.match(r"\s*arch = (sm_\w+)", line):
            architecture = match[1]
        elif match := re.match(r"\s*Function : (\S+)", line):
            code = found[match[1]][architecture] = Code()
        elif match := _ATOMIC.search(line):
            code.atomics.add(match[1])
        elif ".128" in line:
            code.wide_loads |= "LDG" in line
            code.wide_stores |= "STG" in line
    return found


def measure(library: str) -> dict[str, Kernel]:
    """All kernels of the plug-in by their short name."""
    used = resources(library)
    code = codes(library)
    names = readable(sorted(used))
    kernels = {}
    for mangled, by_architecture in used.items():
        missing = set(ARCHITECTURES) - set(by_architecture)
        if missing:
            raise SystemExit(f"{names[mangled]}: no code for {sorted(missing)}")
        values = by_architecture.values()
        kernels[names[mangled]] = Kernel(
            registers=max(v[0] for v in values),
            shared=max(v[1] for v in values),
            local=max(v[2] for v in values),
            wide=all(
                c.wide_loads and c.wide_stores for c in code[mangled].values()
            ),
            atomics=frozenset(
                a for c in code[mangled].values() for a in c.atomics
            ),
        )
    return kernels


def read_golden() -> dict[str, Kernel]:
    """The golden file."""
    kernels = {}
    for line in GOLDEN.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        registers, shared, wide, whole, name = line.split(None, 4)
        kernels[name] = Kernel(
            int(registers),
            int(shared),
            0,
            wide == "wide",
            frozenset({"F64"} if whole == "whole" else ()),
        )
    return kernels


def write_golden(kernels: dict[str, Kernel]) -> None:
    """Replaces the golden file."""
    lines = [
        "# Made by scripts/check_cuda_binary.py LIBRARY --write",
        "# registers, bytes of static shared memory, 16-byte accesses, atomic "
        "sums of whole numbers in f64, kernel",
    ]
    for name, kernel in sorted(kernels.items()):
        wide = "wide" if kernel.wide else "-"
        whole = "whole" if "F64" in kernel.atomics else "-"
        lines.append(
            f"{kernel.registers:4} {kernel.shared:6} {wide:4} {whole:5} {name}"
        )
    GOLDEN.write_text("\n".join(lines) + "\n", encoding="utf-8")


def compare(kernels: dict[str, Kernel], golden: dict[str, Kernel]) -> list[str]:
    """What is worse than the golden file says."""
    problems = [
        f"{name}: not in {GOLDEN.name}"
        for name in kernels.keys() - golden.keys()
    ]
    problems += [f"{name}: gone" for name in golden.keys() - kernels.keys()]
    for name in kernels.keys() & golden.keys():
        now, then = kernels[name], golden[name]
        if now.registers > then.registers * SLACK:
            problems.append(
                f"{name}: {now.registers} registers, {then.registers} before"
            )
        if now.shared > then.shared:
            problems.append(
                f"{name}: {now.shared} bytes of shared memory, "
                f"{then.shared} before"
            )
        if then.wide and not now.wide:
            problems.append(f"{name}: no 16-byte loads and stores any more")
        if "F64" in now.atomics - then.atomics:
            problems.append(f"{name}: atomic operations on f64")
    return sorted(problems)


def main() -> int:
    """Checks or writes; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("library")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    kernels = measure(arguments.library)
    spilled = [
        f"{n}: spills {k.local} bytes" for n, k in kernels.items() if k.local
    ]
    problems = spilled + [
        f"{n}: atomic operations on {', '.join(sorted(k.atomics - {'F64'}))}, "
        "whose order is another in each run"
        for n, k in kernels.items()
        if k.atomics - {"F64"}
    ]
    if arguments.write:
        write_golden(kernels)
    else:
        problems += compare(kernels, read_golden())
    print("\n".join(problems), end="\n" if problems else "")
    wide = sum(k.wide for k in kernels.values())
    print(
        f"{len(kernels)} kernels for {', '.join(ARCHITECTURES)}: "
        f"{len(spilled)} spill, at most "
        f"{max(k.registers for k in kernels.values())} registers, {wide} move "
        "16 bytes at a time"
    )
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
