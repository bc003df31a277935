"""What `import eisbach` offers."""

import inspect
import subprocess
import sys

import pytest

import eisbach


def _described(thing):
    """Whether a text says more than pybind11's line with the signature."""
    text = inspect.getdoc(thing) or ""
    lines = [line for line in text.splitlines() if line.strip()]
    return any(" -> " not in line for line in lines)


def test_dir_shows_what_is_public():
    """In a process that has imported nothing yet, and nothing else."""
    code = (
        "import eisbach; shown = dir(eisbach); print(*shown); "
        "[getattr(eisbach, name) for name in shown]; "
        "assert dir(eisbach) == shown"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    shown = done.stdout.split()
    assert set(shown) == {*eisbach.__all__, "__version__"}
    assert shown == sorted(shown)
    assert {"Engine", "export", "nn", "train"} <= set(shown)
    assert "importlib" not in shown


def test_import_loads_nothing():
    code = "import eisbach, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "eisbach._C"} & set(done.stdout.split())


@pytest.mark.parametrize("name", eisbach.__all__)
def test_each_public_name_has_a_docstring(name):
    assert _described(getattr(eisbach, name))


@pytest.mark.parametrize("module", [eisbach.nn, eisbach.functional])
def test_so_has_each_name_in_a_module(module):
    names = [n for n in dir(module) if not n.startswith("_")]
    names = getattr(module, "__all__", names)
    assert len(names) > 9
    assert [n for n in names if not _described(getattr(module, n))] == []
