import pytest

from eisbach.hardware import folder, machine_of, read_hardware


def test_what_was_measured_is_in_units_for_people(tmp_path):
    text = (folder() / "dgx-h100.yaml").read_text()
    machine = machine_of(read_hardware("dgx-h100"))
    assert machine.half.inner == machine.half_f16.inner == 1310
    assert (machine.device, machine.speeds, machine.collectives) == (
        "cuda",
        {},
        {},
    )
    mine = tmp_path / "mine.yaml"
    text = text.replace(
        "  half_inner: 1310\n",
        "  half_inner: 1310\n  f16: {half_rows: 7}\n",
    ).replace(
        "ops:\n",
        "ops:\n  speeds: {gelu: {call_us: 2, ps_per_byte: 50}}\n"
        "  step_host_us: 3\n",
    )
    text = text.replace(
        "domain:\n",
        "domain:\n  collectives: {all_reduce: "
        "{latency_us: 1, gb_per_s: 4, staged_gb_per_s: 2}}\n",
    )
    mine.write_text(text)
    machine = machine_of(read_hardware(str(mine)))
    assert machine.half.inner == 1310
    assert (machine.half_f16.rows, machine.half_f16.inner) == (7, 0)
    assert machine.speeds["gelu"].call == pytest.approx(2e-6)
    assert machine.speeds["gelu"].byte == pytest.approx(5e-11)
    assert machine.step_host == pytest.approx(3e-6)
    assert machine.collectives["all_reduce"].staged_bandwidth == 2e9
