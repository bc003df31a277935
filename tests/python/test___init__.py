"""What `import eisbach` offers."""

import inspect
import os
import subprocess
import sys

import pytest

import eisbach


def _described(thing):
    """Whether a text says more than pybind11's line with the signature."""
    text = inspect.getdoc(thing) or ""
    lines = [line for line in text.splitlines() if line.strip()]
    return any(" -> " not in line for line in lines)


def _without_docstring(kind):
    """The public methods and properties of a class that say nothing."""
    return [
        name
        for name, member in vars(kind).items()
        if not name.startswith("_")
        and (callable(member) or isinstance(member, property))
        and not _described(member)
    ]


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
    thing = getattr(eisbach, name)
    assert _described(thing)
    if inspect.isclass(thing) and thing.__module__.startswith("eisbach._C"):
        assert _without_docstring(thing) == []


@pytest.mark.parametrize("module", [eisbach.nn, eisbach.functional])
def test_so_has_each_name_in_a_module(module):
    names = [n for n in dir(module) if not n.startswith("_")]
    members = [getattr(module, n) for n in getattr(module, "__all__", names)]
    assert len(members) > 9
    assert [m for m in members if not _described(m)] == []
    classes = [m for m in members if inspect.isclass(m)]
    assert [c for c in classes if _without_docstring(c)] == []


@pytest.mark.parametrize(
    ("given", "spins"),
    [
        ({}, "10000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, "None"),
    ],
)
def test_threads_that_wait_give_their_cores_up_soon(given, spins):
    """What OpenMP reads when the core is loaded, unless a user has said it."""
    unset = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    others = {k: v for k, v in os.environ.items() if k not in unset}
    code = "import eisbach, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**others, **given},
    )
    assert done.stdout == f"{spins}\n"
