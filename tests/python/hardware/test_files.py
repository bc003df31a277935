import pytest

from eisbach.config import ConfigError
from eisbach.hardware import (
    folder,
    known,
    machine_of,
    own_folder,
    read_hardware,
)


def test_the_files_of_the_repository_come_with_the_package(repo):
    files = sorted(p.stem for p in (repo / "configs/hardware").glob("*.yaml"))
    assert known() == files
    assert {"gb200-nvl72", "dgx-b200", "rtx-pro-6000"} <= set(files)


@pytest.mark.parametrize("name", known())
def test_every_figure_has_a_source(name):
    file = read_hardware(name)
    for part in ("chip", "matmul", "ops", "domain", "network", "power"):
        assert len(getattr(file, part).source) > 10, part
    machine = machine_of(file)
    assert machine.memory_bytes == file.chip.memory_gb * 1e9
    assert machine.peak.f16 > machine.peak.f32 > 1e13
    assert machine.domain.devices in (8, 72)
    assert machine.domain.bandwidth > machine.network.bandwidth


@pytest.mark.parametrize("name", known())
def test_every_file_says_how_far_off_forecasts_were(name):
    file = read_hardware(name)
    accuracy = machine_of(file).accuracy
    assert 0 < accuracy.median < accuracy.p90 < 0.5
    assert accuracy.cases == file.accuracy.cases
    assert ("never compared" in file.accuracy.source) == (accuracy.cases == 0)


def test_a_file_of_ones_own_is_read_by_its_path(tmp_path):
    text = (folder() / "dgx-h100.yaml").read_text()
    mine = tmp_path / "mine.yaml"
    mine.write_text(text.replace("memory_gb: 80", "memory_gb: 96"))
    assert machine_of(read_hardware(str(mine))).memory_bytes == 96e9


def test_an_unknown_machine_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean gb200-nvl72"):
        read_hardware("gb200")
    with pytest.raises(ConfigError, match=r"Known are a100, .* by their path"):
        read_hardware("abacus")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[chip, matmul]", "mine.yaml:1: .*sections such as `chip:`"),
        ("chip", "mine.yaml:1: .*sections such as `chip:`"),
        ("chip: {", r"mine.yaml:1: not YAML"),
        ("", r"mine.yaml: chip: missing; it has no default and must be \{mem"),
    ],
)
def test_what_is_no_description_is_refused(tmp_path, text, said):
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_hardware(str(mine))


def test_a_machine_of_this_users_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="eisbach plan --calibrate"):
        read_hardware("this-machine")
    own_folder().mkdir(parents=True)
    text = (folder() / "dgx-h100.yaml").read_text()
    (own_folder() / "this-machine.yaml").write_text(
        text.replace("name: DGX H100", "name: mine")
    )
    assert read_hardware("this-machine").name == "mine"
    assert "this-machine" not in known()
    with pytest.raises(ConfigError, match="did you mean this-machine"):
        read_hardware("this")
