#!/usr/bin/env python3
"""Writes the type stubs of the core, python/eisbach/_C/*.pyi.

    python scripts/generate_stubs.py           # writes the files
    python scripts/generate_stubs.py --check   # fails if one is not current

Reads the installed eisbach._C with pybind11-stubgen.
"""

from __future__ import annotations

import argparse
import difflib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

STUBS = Path(__file__).resolve().parents[1] / "python" / "eisbach" / "_C"
HEADER = "# Made by scripts/generate_stubs.py from csrc/bindings.\n"
# What pybind11 accepts for a number, in what people write.
_INT = re.compile(r"typing\.SupportsInt(?: \| typing\.SupportsIndex)?")
_FLOAT = re.compile(r"typing\.SupportsFloat(?: \| typing\.SupportsIndex)?")
_NONE = re.compile(r"(: (?!typing\.Any)[\w.]+) = None(?=[,)])")


def generate() -> dict[str, str]:
    """Returns the text of each stub by file name."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pybind11_stubgen", "eisbach._C"]
        command += ["--output-dir", folder, "--exit-code"]
        command += ["--numpy-array-remove-parameters"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
        made = sorted(Path(folder, "eisbach", "_C").glob("*.pyi"))
        return {path.name: _tidy(path.read_text()) for path in made}


def _tidy(text: str) -> str:
    text = _FLOAT.sub("float", _INT.sub("int", text))
    text = _NONE.sub(r"\1 | None = None", text)
    lines = [line.rstrip() for line in text.splitlines()]
    return HEADER + "\n".join(lines) + "\n"


def _read() -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(STUBS.glob("*.pyi"))}


def main() -> int:
    """Writes or checks the stubs; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    made, there = generate(), _read()
    if not check:
        STUBS.mkdir(exist_ok=True)
        for name in there.keys() - made.keys():
            (STUBS / name).unlink()
        for name, text in made.items():
            (STUBS / name).write_text(text)
        return 0
    for name in sorted(made.keys() | there.keys()):
        sys.stdout.writelines(
            difflib.unified_diff(
                there.get(name, "").splitlines(keepends=True),
                made.get(name, "").splitlines(keepends=True),
                f"python/eisbach/_C/{name}",
                "made by scripts/generate_stubs.py",
            )
        )
    return int(made != there)


if __name__ == "__main__":
    sys.exit(main())
