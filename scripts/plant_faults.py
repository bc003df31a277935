"""Plants faults in a copy of the sources and checks that the tests see them.

    python scripts/plant_faults.py                     # all: an hour on 2 cores
    python scripts/plant_faults.py 'matmul_*' 'nccl_*'
    python scripts/plant_faults.py --check             # does each still apply?

A fault is a patch in tests/faults: a slip that someone could make, which no
machine without a GPU would notice by itself. Its first lines say what is wrong
and who sees it:

    What: A bias gradient replaces the sum of the micro-batches before.
    Seen by: ops_matmul_test_cuda train_layouts_cuda_np2:*f16*

where a test is one of ctest's, behind a colon the cases of it that are run,
and `build` is a compiler that refuses the fault. Every test that is named must
pass without the fault, and fail, hang or crash with it.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import filecmp
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ROOT / "tests" / "faults"
BUILD = "build/release"
OPTIONS = ("-DEISBACH_BUILD_TESTS=ON", "-DEISBACH_BUILD_PYTHON=OFF")
GPU = ("-DEISBACH_CUDA=OFF", "-DEISBACH_CUDA_EMULATION=ON")
COMPILER = "build"
# A test with a fault may take this many times as long as without, and this many
# seconds more; then it hangs.
SLOWER, MORE = 5, 30


@dataclass(frozen=True)
class Fault:
    """A patch and its claim.

    Attributes:
      name: Of the file, without its ending.
      path: The patch.
      what: What is wrong, in a sentence.
      tests: Those that see it.
    """

    name: str
    path: Path
    what: str
    tests: tuple[str, ...]

    @staticmethod
    def read(path: Path) -> Fault:
        """Reads a patch; ValueError where its first lines say nothing."""
        lines = path.read_text().splitlines()
        if not lines[0].startswith("What: ") or not lines[1].startswith(
            "Seen by: "
        ):
            raise ValueError(
                f'{path}: begins with "What: ..." and "Seen by: ..."'
            )
        tests = tuple(lines[1].removeprefix("Seen by: ").split())
        return Fault(path.stem, path, lines[0].removeprefix("What: "), tests)


class Copy:
    """A copy of the files that git knows, with a build of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = os.environ | {
            "CCACHE_BASEDIR": str(folder),
            "CCACHE_NOHASHDIR": "1",
            "CCACHE_SLOPPINESS": "pch_defines,time_macros",
            "GIT_CEILING_DIRECTORIES": str(folder.parent),
            "OMP_WAIT_POLICY": "passive",
        }
        listed = subprocess.run(
            ["git", "ls-files", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            here, there = ROOT / name, folder / name
            if not here.is_file():
                continue
            # A build trusts times: what changes here is new there, and what
            # does not stays as it was.
            there.parent.mkdir(parents=True, exist_ok=True)
            if not there.exists() or not filecmp.cmp(here, there, False):
                shutil.copy(here, there)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a program in the copy."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
        )

    def need(self, *command: str) -> str:
        """Runs a program that must succeed; returns what it prints."""
        done = self.run(*command)
        if done.returncode != 0:
            told = done.stdout[-4000:] + done.stderr[-4000:]
            sys.exit(f"{' '.join(command)}\n{told}")
        return done.stdout

    def apply(
        self, fault: Fault, *how: str
    ) -> subprocess.CompletedProcess[str]:
        """Applies a patch."""
        return self.run("git", "apply", *how, str(fault.path))

    def build(self, *targets: str) -> bool:
        """Whether the targets can be built."""
        return (
            self.run("cmake", "--build", BUILD, "--target", *targets).returncode
            == 0
        )

    def passes(self, test: Test, limit: float) -> bool:
        """Whether a test passes within `limit` seconds."""
        process = subprocess.Popen(
            test.command,
            cwd=test.folder,
            env=self._environment | test.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(limit) == 0
        except subprocess.TimeoutExpired:
            process.terminate()  # mpirun takes its ranks along
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            return False
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@dataclass
class Test:
    """A test of ctest, as it is started.

    Attributes:
      command: Program and arguments.
      environment: What ctest adds.
      folder: Where it is started.
      targets: What the build makes for it.
      seconds: What it takes without a fault.
    """

    command: list[str]
    environment: dict[str, str]
    folder: str
    targets: set[str]
    seconds: float = 0.0

    @property
    def limit(self) -> float:
        """Seconds after which it hangs."""
        return SLOWER * self.seconds + MORE


def find_tests(copy: Copy, names: set[str]) -> dict[str, Test]:
    """The tests behind what the patches call them."""
    told = json.loads(
        copy.need("ctest", "--test-dir", BUILD, "--show-only=json-v1")
    )
    known = {test["name"]: test["properties"] for test in told["tests"]}
    # ctest tells no command whose program is not built yet.
    listed = copy.folder / BUILD / "tests/cpp/CTestTestfile.cmake"
    added = re.findall(r"^add_test\((.*)\)$", listed.read_text(), re.M)
    commands = {words[0]: words[1:] for words in map(shlex.split, added)}
    ninja = copy.need("ninja", "-C", BUILD, "-t", "targets")
    made = set(re.findall(r"^(\w+): phony", ninja, re.M))
    tests = {}
    for name in names:
        base, _, cases = name.partition(":")
        if base not in known or base not in commands:
            sys.exit(f"{base}: ctest has no such test")
        command = commands[base]
        if cases:
            chosen = "--gtest_filter"
            command = [part for part in command if not part.startswith(chosen)]
            command.append(f"{chosen}={cases}")
        properties = {each["name"]: each["value"] for each in known[base]}
        added = properties.get("ENVIRONMENT", [])
        environment = dict(each.split("=", 1) for each in added)
        parts = [*command, *environment.values()]
        files = {part.rsplit("/", 1)[-1] for part in parts}
        targets = {re.sub(r"^lib(\w+)\.so$", r"\1", file) for file in files}
        tests[name] = Test(
            command,
            environment,
            properties["WORKING_DIRECTORY"],
            targets & made,
        )
    return tests


def check(faults: list[Fault]) -> int:
    """Prints the patches that do not apply; returns how many."""
    bad = 0
    for fault in faults:
        done = subprocess.run(
            ["git", "apply", "--check", str(fault.path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            print(f"tests/faults/{fault.path.name} does not apply:")
            print(done.stderr, end="")
            bad += 1
    return bad


def measure(copy: Copy, tests: dict[str, Test]) -> None:
    """Runs each test without a fault."""
    if not copy.build(*set().union(*(test.targets for test in tests.values()))):
        sys.exit("the tests cannot be built")
    failed = []
    for name, test in tests.items():
        begin = time.monotonic()
        if not copy.passes(test, 1800):
            failed.append(name)
        test.seconds = time.monotonic() - begin
    if failed:
        sys.exit(f"these fail without a fault: {', '.join(failed)}")


def plant(
    copy: Copy, fault: Fault, tests: dict[str, Test], jobs: int
) -> dict[str, bool]:
    """Which of its tests see a fault."""
    applied = copy.apply(fault)
    if applied.returncode != 0:
        sys.exit(f"{fault.name} does not apply:\n{applied.stderr}")
    try:
        run = [name for name in fault.tests if name != COMPILER]
        if COMPILER in fault.tests:
            return {COMPILER: not copy.build("eisbach_cuda_emulated")}
        if not copy.build(*set().union(*(tests[name].targets for name in run))):
            sys.exit(f"{fault.name} cannot be built, and does not say so")
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            passed = pool.map(
                lambda name: copy.passes(tests[name], tests[name].limit), run
            )
            return {
                name: not each for name, each in zip(run, passed, strict=True)
            }
    finally:
        copy.apply(fault, "--reverse")


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "patterns", nargs="*", default=["*"], help="names of patches"
    )
    parser.add_argument(
        "--check", action="store_true", help="only whether they apply"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="tests at a time"
    )
    parser.add_argument(
        "--folder", type=Path, help="the copy, to be used again"
    )
    options = parser.parse_args()
    faults = [
        Fault.read(path)
        for path in sorted(FAULTS.glob("*.patch"))
        if any(
            fnmatch.fnmatch(path.stem, pattern) for pattern in options.patterns
        )
    ]
    if not faults:
        parser.error(f"no patch is called {' or '.join(options.patterns)}")
    if bad := check(faults):
        return bad
    if options.check:
        return 0
    with tempfile.TemporaryDirectory(prefix="eisbach-faults-") as made:
        copy = Copy(options.folder or Path(made))
        copy.need(
            "cmake", "-S", ".", "-B", BUILD, "-G", "Ninja", *OPTIONS, *GPU
        )
        names = {name for fault in faults for name in fault.tests} - {COMPILER}
        tests = find_tests(copy, names)
        print(f"{len(faults)} faults, {len(tests)} tests: building", flush=True)
        measure(copy, tests)
        missed = 0
        print("| fault | what | seen by | not seen by |")
        print("| --- | --- | --- | --- |")
        for fault in faults:
            seen = plant(copy, fault, tests, options.jobs)
            yes = ", ".join(name for name, each in seen.items() if each)
            no = ", ".join(name for name, each in seen.items() if not each)
            missed += bool(no)
            print(f"| {fault.name} | {fault.what} | {yes} | {no} |", flush=True)
    print(f"\n{len(faults)} faults, {missed} not seen by a test that should")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
