"""The folder that a bundle was unpacked in."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu.machine import nvidia_folders


@dataclass(frozen=True)
class Test:
    """A test that ctest has with the label `gpu`."""

    name: str
    program: str
    arguments: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class Bundle:
    """Programs, libraries, and what bundle.json tells of them."""

    root: Path
    facts: dict[str, Any]

    @classmethod
    def load(cls, root: Path) -> Bundle:
        """Reads bundle.json, and unpacks what is packed.

        Raises:
          SystemExit: This machine's C library is too old for the programs.
        """
        bundle = cls(root, json.loads((root / "bundle.json").read_text()))
        needed = bundle.facts["glibc"]
        here = os.confstr("CS_GNU_LIBC_VERSION").split()[-1]
        if _numbers(here) < _numbers(needed):
            raise SystemExit(
                f"run_on_gpu.sh: this machine has glibc {here}, the programs "
                f"need {needed} or newer; make the bundle on a machine with "
                f"glibc {here} or older"
            )
        for packed in sorted((root / "lib").glob("*.gz")):
            _unpack(packed, packed.with_suffix(""))
        return bundle

    @property
    def tests(self) -> list[Test]:
        """The tests, as packed."""
        return [Test(**one) for one in self.facts["tests"]]

    def program(self, name: str) -> str:
        """The path of a program of the bundle."""
        return str(self.root / "bin" / name)

    def environment(self) -> dict[str, str]:
        """What programs of the bundle need; not for those of the machine."""
        lib = self.root / "lib"
        folders = [lib, lib / "openmpi", *nvidia_folders()]
        before = os.environ.get("LD_LIBRARY_PATH", "")
        prefixes = ("OPAL", "PMIX", "PRTE")
        return {
            "LD_LIBRARY_PATH": ":".join([*map(str, folders), before]).strip(
                ":"
            ),
            "EISBACH_TEST_DEVICE": "cuda",
            "GTEST_COLOR": "no",
            **{f"{name}_PREFIX": str(self.root) for name in prefixes},
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        }


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _unpack(packed: Path, library: Path) -> None:
    if library.exists():
        return
    part = library.with_name(library.name + ".part")
    with gzip.open(packed) as source, part.open("wb") as target:
        shutil.copyfileobj(source, target)
    part.chmod(0o755)
    part.replace(library)
