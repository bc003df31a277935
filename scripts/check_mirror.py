#!/usr/bin/env python3
"""Checks that the tests mirror the sources, and that no file is too long.

    python scripts/check_mirror.py [ROOT]

- Each folder of python/eisbach and each script in scripts/ and examples/ has
  tests at the same place under tests/python, and each test there names its
  module, in tests/python/benchmarks one of benchmarks/, or in
  tests/python/bindings its file of csrc/bindings.
- Each folder of csrc with sources has a test at the same place under
  tests/cpp (a backend folder may be tested by the folder above it), and each
  test there lies in a folder of csrc. Several are compiled together, so each
  has a namespace of its own, called as the file.
- Each folder of csrc has a README.md of at most a page.
- No source file passes 500 lines.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

BINDINGS = "bindings"  # tested through Python
PAGE = 80
LONGEST = 500
# Start-up code and programs that other tests run.
NO_TEST = {"__init__.py", "__main__.py"}


def check_python(root: Path) -> Iterator[str]:
    """Yields folders and scripts without tests, and tests without a module."""
    tests, package = root / "tests" / "python", root / "python" / "eisbach"
    modules = [p for p in package.rglob("*.py") if p.name not in NO_TEST]
    for folder in sorted({module.parent for module in modules}):
        place = folder.relative_to(package)
        if not list((tests / place).glob("test_*.py")):
            name = folder.relative_to(root)
            yield f"{name}:1: no test in tests/python/{place.as_posix()}"
    for script in sorted(
        p for f in ("scripts", "examples") for p in (root / f).glob("*.py")
    ):
        folder = script.parent.name
        test = tests / folder / f"test_{script.name}"
        if not test.exists():
            yield f"{folder}/{script.name}:1: no {test.relative_to(root)}"
    for test in sorted(tests.rglob("test_*.py")):
        place = test.relative_to(tests)
        stem = place.stem.removeprefix("test_")
        home, suffix = package, ".py"
        if place.parts[0] in ("scripts", "examples", "benchmarks"):
            home = root
        elif place.parts[0] == BINDINGS:
            home, suffix = root / "csrc", ".cc"
        module = home / place.parent / stem
        if not module.is_dir() and not module.with_suffix(suffix).exists():
            yield f"tests/python/{place.as_posix()}:1: no module of this name"


def check_cpp(root: Path) -> Iterator[str]:
    """Yields folders without tests, tests without folder or namespace."""
    csrc, tests = root / "csrc", root / "tests" / "cpp"
    for folder in sorted({p.parent for p in csrc.rglob("*.cc")}):
        place = folder.relative_to(csrc)
        if place.parts[0] == BINDINGS:
            continue
        homes = [tests / place]
        if len(place.parts) > 1:
            homes.append(tests / place.parent)
        if not any(list(home.glob("*_test.cc")) for home in homes):
            yield f"csrc/{place}:1: no test in tests/cpp/{place}"
    for test in sorted(tests.rglob("*_test.cc")):
        place = test.relative_to(tests)
        if not (csrc / place).parent.is_dir():
            yield f"tests/cpp/{place}:1: no folder csrc/{place.parent}"
        own = rf"^namespace eisbach(::\w+)*::{test.stem} {{"
        if not re.search(own, test.read_text(encoding="utf-8"), re.M):
            yield f"tests/cpp/{place}:1: no namespace eisbach::...::{test.stem}"


def check_readmes(root: Path) -> Iterator[str]:
    """Yields folders of csrc whose README is missing or too long."""
    folders = [p for p in (root / "csrc").iterdir() if p.is_dir()]
    for folder in sorted(folders):
        readme = folder / "README.md"
        if not readme.exists():
            yield f"csrc/{folder.name}/README.md:1: missing"
        elif (lines := len(readme.read_text().splitlines())) > PAGE:
            name = f"csrc/{folder.name}/README.md"
            yield f"{name}:{PAGE}: {lines} lines, at most a page of {PAGE}"


def check_lengths(root: Path) -> Iterator[str]:
    """Yields source files that should be split by idea."""
    folders = ("csrc", "python", "scripts", "tests", "benchmarks", "examples")
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".cc", ".cu", ".cuh", ".py", ".sh"):
                continue
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > LONGEST:
                name = path.relative_to(root)
                yield f"{name}:{LONGEST}: {lines} lines, at most {LONGEST}"


def main() -> int:
    """Prints what breaks; returns the exit status."""
    default = Path(__file__).resolve().parents[1]
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    checks = (check_python, check_cpp, check_readmes, check_lengths)
    problems = [line for one in checks for line in one(root)]
    print("\n".join(problems) if problems else "mirror: all in place")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
