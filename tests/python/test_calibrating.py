import pytest

from eisbach import calibrating, init
from eisbach.config import load_config, resolve
from eisbach.fitting import fit
from eisbach.hardware import machine_of, read_hardware

TINY = "llama layers=1 hidden=64 heads=2 context=32 vocab=64 batch=2"


@pytest.fixture
def measured(monkeypatch, tmp_path, capsys):
    """Measures one tiny model on this process alone; gives file and output."""
    init(device="cpu")
    monkeypatch.setattr(calibrating, "_MODELS", (TINY,))
    monkeypatch.setattr(calibrating.shutil, "which", lambda _: None)
    path = tmp_path / "folder" / "mine.yaml"
    calibrating.calibrate(path)
    return path, capsys.readouterr().out


def test_a_machine_is_measured_and_described(measured):
    path, output = measured
    assert f"wrote {path}; `--hardware {path}` plans for it" in output
    assert "ops in bf16, 1 of 1: llama" in output
    file = read_hardware(str(path))
    assert (file.name, file.device, file.threads) == ("this-machine", "cpu", 1)
    assert "measured by eisbach plan --calibrate" in file.chip.source
    assert file.accuracy is None  # nothing but that model
    machine = machine_of(file)
    assert machine.peak.f32 > 1e7
    assert machine.memory_bandwidth > 1e7
    assert {"norm_forward", "rope", "copy"} <= set(machine.speeds)
    assert "attention_forward" in machine.speeds_f16


def test_models_are_foretold_from_one_another(tmp_path):
    world = init(device="cpu")
    said = []
    machine = calibrating.measure(
        world,
        memory=1e9,
        say=said.append,
        models=(TINY, TINY.replace("hidden=64", "hidden=96")),
    )
    known = machine.accuracy
    # Two types each; what else runs here may leave nothing to foretell with.
    assert known.cases == 4 or "plans have no range" in said[-1]
    assert 0 <= known.median <= known.p90 < 1


def test_steps_are_foretold_on_it(measured):
    from eisbach import _C

    keys = ["model.layers=2", "run.device=cpu", "train.steps=9"]
    found = fit(resolve(load_config(None, keys)), 1)
    step = _C.RecordedStep(found.engine, found.mesh, device="cpu")
    forecast = step.on(machine_of(read_hardware(str(measured[0]))))
    assert forecast.seconds > 0
    assert forecast.busy.products > 0


def test_what_was_fitted_is_spelled(tmp_path):
    from eisbach import _C

    speed = _C.OpSpeed(call=1.23456e-6, byte=2e-11)
    calls = _C.CollectiveSpeed(
        latency=3e-6, bandwidth=4e9, staged_bandwidth=2e9
    )
    machine = _C.Hardware(
        name="this-machine",
        device="cpu",
        peak=_C.PeakRates(f32=2e10, f16=1e10),
        memory_bytes=8e9,
        memory_bandwidth=9e9,
        matmul_fraction=1.0,
        units=0,
        tile_rows=1,
        tile_columns=1,
        half=_C.HalfSizes(rows=5),
        half_f16=_C.HalfSizes(),
        attention_forward=1.0,
        attention_backward=1.0,
        memory_fraction=1.0,
        kernel_gap=0.0,
        host_launch=0.0,
        shared_by_collectives=1.0,
        speeds={"gelu": speed},
        speeds_f16={},
        collectives={"all_reduce": calls},
        step_host=1e-3,
        domain=_C.Link(bandwidth=2e9, devices=2, latency=3e-6),
        network=_C.Link(bandwidth=2e9, latency=3e-6),
        idle_watts=0.0,
        busy_watts=0.0,
        site_factor=1.0,
        hours_between_failures=0.0,
        accuracy=_C.Accuracy(median=0.0512345, p90=0.25, cases=14),
    )
    file = calibrating.describe(machine, threads=1, processor="a processor")
    path = tmp_path / "mine.yaml"
    path.write_text(calibrating.spell(file))
    assert read_hardware(str(path)) == file
    again = machine_of(file)
    # To four digits.
    assert again.speeds["gelu"].call == pytest.approx(1.235e-6)
    assert again.collectives["all_reduce"].bandwidth == 4e9
    assert again.half.rows == 5
    assert again.half_f16.rows == 0
    assert again.step_host == 1e-3
    assert again.domain.devices == 2
    assert again.accuracy.median == 0.05123
    assert (again.accuracy.p90, again.accuracy.cases) == (0.25, 14)
    assert "each foretold from what all other models took" in (
        file.accuracy.source
    )


def test_ranks_that_fail_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(calibrating.os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(calibrating.shutil, "which", lambda _: "false")
    with pytest.raises(ValueError, match="on 2 ranks ended with status 1"):
        calibrating.calibrate(tmp_path / "mine.yaml")
