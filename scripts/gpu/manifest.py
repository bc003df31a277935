"""Writes bundle.json: what a bundle for GPUs holds and needs.

    python -m gpu.manifest BUILD            # names the tests' programs
    python -m gpu.manifest BUILD BUNDLE     # writes the file of what is packed

BUILD has the tests with the label `gpu`, built.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any


def _run(*command: str) -> str:
    return subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout


def gpu_tests(listing: dict[str, Any]) -> list[dict[str, Any]]:
    """The tests of `ctest --show-only=json-v1`, as bundle.json has them.

    Raises:
      ValueError: One was not built.
    """
    tests = []
    for test in listing["tests"]:
        if not test.get("command"):
            raise ValueError(f"{test['name']} is not built")
        program, *arguments = test["command"]
        values = {one["name"]: one["value"] for one in test["properties"]}
        pairs = (one.split("=", 1) for one in values.get("ENVIRONMENT", []))
        # The plug-in lies beside the core there.
        environment = {k: v for k, v in pairs if k != "EISBACH_CUDA_LIBRARY"}
        tests.append(
            {
                "name": test["name"],
                "program": Path(program).name,
                "arguments": arguments,
                "environment": environment,
            }
        )
    return tests


def newest(symbols: str, prefix: str) -> str:
    """The highest version of a library that `readelf -V` names.

    Args:
      symbols: What readelf printed.
      prefix: Such as GLIBC.
    """
    found = re.findall(rf"\b{prefix}_(\d+(?:\.\d+)+)", symbols)
    return max(found, key=lambda one: [int(n) for n in one.split(".")])


def main() -> None:
    """Names the programs, or writes the file."""
    build, *bundles = map(Path, sys.argv[1:])
    listing = _run(
        "ctest", "--test-dir", str(build), "-L", "^gpu$", "--show-only=json-v1"
    )
    tests = gpu_tests(json.loads(listing))
    if not bundles:
        print("\n".join(sorted({test["program"] for test in tests})))
        return
    bundle = bundles[0]
    files = [
        path
        for folder in ("bin", "lib")
        for path in (bundle / folder).rglob("*")
    ]
    symbols = _run("readelf", "-VW", *[str(p) for p in files if p.is_file()])
    facts = {
        "commit": _run("git", "describe", "--always", "--dirty").strip(),
        "glibc": newest(symbols, "GLIBC"),
        "libstdc++": newest(symbols, "GLIBCXX"),
        "tests": tests,
    }
    (bundle / "bundle.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
