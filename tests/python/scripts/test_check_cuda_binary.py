import importlib.util

import pytest


@pytest.fixture(scope="module")
def check(repo):
    path = repo / "scripts" / "check_cuda_binary.py"
    spec = importlib.util.spec_from_file_location("check_cuda_binary", path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def kernels(check, **changes):
    kernel = {"registers": 40, "shared": 0, "local": 0, "wide": True, **changes}
    return {"AddKernel<float>": check.Kernel(**kernel)}


def test_what_is_as_good_as_before_passes(check):
    golden = kernels(check)
    assert check.compare(golden, golden) == []
    assert check.compare(kernels(check, registers=24), golden) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"registers": 60}, "60 registers, 40 before"),
        ({"shared": 1024}, "1024 bytes of shared memory, 0 before"),
        ({"wide": False}, "no 16-byte loads and stores"),
    ],
)
def test_what_is_worse_is_named(check, changes, said):
    (problem,) = check.compare(kernels(check, **changes), kernels(check))
    assert problem.startswith("AddKernel<float>: ")
    assert said in problem


def test_kernels_that_come_and_go_are_named(check):
    golden = kernels(check)
    other = {"CopyKernel<float>": golden["AddKernel<float>"]}
    problems = check.compare(other, golden)
    assert problems == [
        "AddKernel<float>: gone",
        "CopyKernel<float>: not in cuda_kernels.txt",
    ]


def test_the_golden_file_reads_back(check, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "GOLDEN", tmp_path / "cuda_kernels.txt")
    golden = kernels(check)
    check.write_golden(golden)
    assert check.read_golden() == golden


def test_names_are_readable(check):
    mangled = (
        "_ZN7eisbach4cuda54_GLOBAL__N__1_1_AddKernelI13__nv_bfloat16Li4EEEvPT_"
    )
    (name,) = check.readable([mangled]).values()
    assert name
