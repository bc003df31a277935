#!/usr/bin/env python3
"""Makes libraries of another processor to link to, and not to run with.

    python scripts/link_stubs.py FOLDER COMPILER LIBRARY [LIBRARY ...]

For each LIBRARY, which is of any processor, COMPILER makes FOLDER/<soname>: a
library with the same soname, and with the same functions under the same symbol
versions. So the link of a cross build checks every symbol where the libraries
of its target, 1.4 GB for CUDA, are not. A function of a stub traps.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path


def run(*command: str) -> str:
    """The output of a command that must not fail."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def soname(library: str) -> str:
    """The name that programs linked to the library will look for."""
    found = re.search(r"soname: \[(.+)\]", run("readelf", "-d", library))
    if not found:
        raise SystemExit(f"{library} has no soname")
    return found[1]


def functions(library: str) -> dict[str, list[str]]:
    """The functions that a library offers by version, "" where it has none."""
    by_version: dict[str, list[str]] = defaultdict(list)
    for line in run("nm", "-D", "--defined-only", library).splitlines():
        _, kind, symbol = line.split()
        name, _, version = symbol.partition("@")
        if kind in "TW":
            by_version[version.lstrip("@")].append(name)
        elif kind != "A":  # the name of a version
            raise SystemExit(f"{library}: {symbol} is no function ({kind})")
    if not by_version:
        raise SystemExit(f"{library} has no functions")
    return by_version


def make(folder: Path, compiler: str, library: str) -> None:
    """Makes one stub; leaves the file of the same content alone."""
    offered = functions(library)
    stub = folder / soname(library)
    with tempfile.TemporaryDirectory() as work:
        source, script = Path(work, "stub.c"), Path(work, "stub.map")
        new = Path(work, "stub.so")
        source.write_text(
            "".join(
                f"void {name}(void) {{ __builtin_trap(); }}\n"
                for names in offered.values()
                for name in names
            )
        )
        script.write_text(
            "".join(
                f"{version} {{ {' '.join(f'{name};' for name in names)} }};\n"
                for version, names in offered.items()
            )
        )
        run(
            compiler, "-x", "c", str(source), "-o", str(new), "-shared",
            "-fPIC", "-nostdlib", f"-Wl,-soname,{stub.name}",
            f"-Wl,--version-script,{script}",
        )  # fmt: skip
        if not stub.exists() or stub.read_bytes() != new.read_bytes():
            stub.write_bytes(new.read_bytes())


def main() -> int:
    """Makes all stubs; returns the exit status."""
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for library in sys.argv[3:]:
        make(folder, sys.argv[2], library)
    return 0


if __name__ == "__main__":
    sys.exit(main())
