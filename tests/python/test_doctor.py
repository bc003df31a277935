import os

import pytest

from eisbach import doctor


def by_name():
    return {finding.name: finding for finding in doctor.examine()}


def test_finds_this_machine():
    found = by_name()
    assert "cores" in found["cpu"].value
    assert "GiB" in found["memory"].value
    assert "numpy" in found["libraries"].value
    assert not found["libraries"].remedy


def test_a_quota_of_the_container_is_told(monkeypatch):
    monkeypatch.setattr("eisbach._C.cpu_quota", lambda: 1.5)
    assert "cores, time of 1.5 by the container" in by_name()["cpu"].value
    monkeypatch.setattr("eisbach._C.cpu_quota", lambda: None)
    assert "quota" not in by_name()["cpu"].value


def test_the_matmul_in_use_is_told_for_each_dtype():
    value = by_name()["core"].value
    if "oneDNN" in value:
        for dtype in ("f32 ", "bf16 ", "f16 "):
            assert f"; {dtype}" in value


def test_an_arm_core_has_a_name_and_its_instruction_sets():
    cpuinfo = (
        "processor\t: 0\n"
        "Features\t: fp asimd atomics asimdhp asimddp sve sve2 i8mm bf16\n"
        "CPU implementer\t: 0x41\nCPU part\t: 0xd4f\n"
    )
    assert doctor._describe_cpu(cpuinfo, "72 cores") == (
        "Neoverse V2, 72 cores: asimd asimdhp asimddp sve sve2 i8mm bf16"
    )


def test_a_missing_library_comes_with_its_remedy(monkeypatch):
    names = ("numpy", "no-such-library")
    monkeypatch.setattr(doctor, "_LIBRARIES", names)
    found = by_name()["libraries"]
    assert found.needed
    assert found.remedy == "pip install no-such-library"


def test_without_mpirun_there_is_one_rank(monkeypatch):
    monkeypatch.setenv("PATH", "")
    found = by_name()["mpirun"]
    assert not found.needed
    assert "openmpi" in found.remedy


@pytest.fixture
def mpirun(monkeypatch, tmp_path):
    """Puts a program of that name, which says a version, first in PATH."""

    def put(version, status):
        program = tmp_path / "mpirun"
        program.write_text(
            "#!/bin/sh\n"
            f"[ $1 = --version ] && exec echo 'mpirun (Open MPI) {version}'\n"
            f"[ $1 = -n ] && [ $3 = true ] && exit {status}\n"
            "exit 99\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return put


def test_ranks_beyond_cores_are_tried(mpirun):
    mpirun("5.0.11", 1)
    refused = by_name()["ranks"]
    assert not refused.needed
    assert "oversubscribe" in refused.remedy
    mpirun("5.0.11", 0)
    assert not by_name()["ranks"].remedy


def test_mpirun_is_of_the_library(mpirun, monkeypatch):
    monkeypatch.setattr(
        "eisbach._C.build_info", lambda: {"mpi": "Open MPI v5.0.8"}
    )
    mpirun("5.0.11", 0)
    assert not by_name()["mpirun"].remedy
    mpirun("4.1.6", 0)
    found = by_name()["mpirun"]
    assert found.needed
    assert "4.1.6" in found.value
    assert "v5.0.8" in found.value


def test_root_needs_two_variables(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        monkeypatch.delenv(name, raising=False)
    assert "OMPI_ALLOW_RUN_AS_ROOT=1" in by_name()["root"].remedy
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        monkeypatch.setenv(name, "1")
    assert not by_name()["root"].remedy


def test_without_a_gpu_it_says_what_is_missing(monkeypatch):
    def none(_):
        raise RuntimeError("device cuda: no driver here; install one")

    monkeypatch.setattr("eisbach._C.count_devices", none)
    found = by_name()["gpu"]
    assert found.value == "no driver here"
    assert found.remedy == "install one"
    assert not found.needed


def test_libraries_of_the_gpu_are_listed(monkeypatch):
    monkeypatch.setattr(doctor, "_CUDA_LIBRARIES", ("numpy", "no-such-library"))
    found = by_name()["cuda"]
    assert "numpy" in found.value
    assert "no-such-library" in found.value
    assert not found.needed
