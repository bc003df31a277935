"""scripts/link_stubs.py: what links to a stub, and what does not."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "link_stubs.py"


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def library(folder: Path, source: str, versions: str = "") -> Path:
    """Compiles libreal.so of soname libreal.so.3."""
    (folder / "real.c").write_text(source)
    (folder / "real.map").write_text(versions)
    made = folder / "libreal.so"
    script = [f"-Wl,--version-script,{folder / 'real.map'}"] if versions else []
    done = run("gcc", "-shared", "-fPIC", folder / "real.c", "-o", made,
               "-Wl,-soname,libreal.so.3", *script)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return made


def stub(folder: Path, real: Path) -> Path:
    done = run(sys.executable, SCRIPT, folder / "stubs", "gcc", real)
    assert done.returncode == 0, done.stderr
    return folder / "stubs" / "libreal.so.3"


def link(folder: Path, calls: str, to: Path) -> subprocess.CompletedProcess:
    (folder / "user.c").write_text(
        f"int {calls}(void);\nint use(void) {{ return {calls}(); }}\n"
    )
    return run("gcc", "-shared", "-fPIC", folder / "user.c", to,
               "-Wl,--no-undefined", "-o", folder / "user.so")  # fmt: skip


@pytest.mark.parametrize("versions", ["", "REAL_3 { global: one; two; };"])
def test_links_as_to_the_library(tmp_path: Path, versions: str) -> None:
    source = "int one(void) { return 1; }\nint two(void) { return 2; }\n"
    real = library(tmp_path, source, versions)
    needs = []
    for target in (real, stub(tmp_path, real)):
        done = link(tmp_path, "two", target)
        assert done.returncode == 0, done.stderr
        dynamic = run("readelf", "-d", "-V", "-W", tmp_path / "user.so").stdout
        needs.append(
            [
                line.split()[2:]
                for line in dynamic.splitlines()
                if "(NEEDED)" in line or "Name: REAL_3" in line
            ]
        )
    assert any("[libreal.so.3]" in line for line in needs[0])
    assert needs[0] == needs[1]


def test_a_misspelled_function_does_not_link(tmp_path: Path) -> None:
    real = library(tmp_path, "int one(void) { return 1; }\n")
    done = link(tmp_path, "onee", stub(tmp_path, real))
    assert done.returncode != 0
    assert "onee" in done.stderr


def test_refuses_what_is_no_function(tmp_path: Path) -> None:
    real = library(tmp_path, "int number = 1;\nint one(void) { return 1; }\n")
    done = run(sys.executable, SCRIPT, tmp_path / "stubs", "gcc", real)
    assert done.returncode != 0
    assert "number is no function" in done.stderr


def test_leaves_a_stub_of_the_same_content_alone(tmp_path: Path) -> None:
    real = library(tmp_path, "int one(void) { return 1; }\n")
    made = stub(tmp_path, real).stat().st_mtime_ns
    assert stub(tmp_path, real).stat().st_mtime_ns == made
