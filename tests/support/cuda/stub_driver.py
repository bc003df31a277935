"""Writes the source of a stub libcuda.so.1, for machines without a driver.

    python stub_driver.py CUDA_H OUTPUT.cc

Every function that cuda.h names returns CUDA_ERROR_STUB_LIBRARY, as NVIDIA's
own link stub does, but those that load a module pretend to work: cuDNN loads
what it has compiled before it calls an execution plan ready. Nothing runs.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

STUB_LIBRARY = 34
# name -> parameters, what is written through the first one
LOADS = {
    "cuLibraryLoadData": ("void** out, ...", "place"),
    "cuLibraryGetKernel": ("void** out, ...", "place + 1"),
    "cuLibraryGetModule": ("void** out, ...", "place + 2"),
    "cuModuleLoadData": ("void** out, ...", "place + 3"),
    "cuModuleLoadDataEx": ("void** out, ...", "place + 3"),
    "cuModuleGetFunction": ("void** out, ...", "place + 4"),
    "cuKernelGetFunction": ("void** out, ...", "place + 5"),
    "cuGetErrorName": ("int, const char** out", '"STUB"'),
    "cuGetErrorString": ("int, const char** out", '"stub driver"'),
    "cuLibraryUnload": ("...", ""),
    "cuModuleUnload": ("...", ""),
    "cuKernelSetAttribute": ("...", ""),
    "cuFuncSetAttribute": ("...", ""),
}
SUFFIXES = ("_v2", "_v3", "_ptsz", "_v2_ptsz", "_v2_ptds", "_ptds")


def source(header: str) -> str:
    """Returns C++ that defines all functions that the text of cuda.h names."""
    named = set(re.findall(r"\bcu[A-Z][A-Za-z0-9]*(?:_v[0-9]+)?\b", header))
    names = named | {name + end for name in named for end in SUFFIXES}
    lines = ["static char place[64];", 'extern "C" {']
    for name in sorted(names | LOADS.keys()):
        parameters, value = LOADS.get(name, ("", ""))
        result = 0 if name in LOADS else STUB_LIBRARY
        write = f"*out = {value}; " if value else ""
        lines.append(f"int {name}({parameters}) {{ {write}return {result}; }}")
    return "\n".join([*lines, "}", ""])


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(source(Path(sys.argv[1]).read_text()))
