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


def test_ranks_beyond_cores_need_a_setting(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert "oversubscribe" in by_name()["ranks"].remedy
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "prte-mca-params.conf").write_text(
        "# comment\nrmaps_default_mapping_policy = :oversubscribe\n"
    )
    found = by_name()["ranks"]
    assert not found.remedy
    assert ":oversubscribe" in found.value


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
