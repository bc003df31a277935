import re

import pytest

from eisbach.config import load_config, resolve
from eisbach.fitting import fit
from eisbach.hardware import read_hardware
from eisbach.planning import (
    fragment,
    make_plan,
    of_peak,
    run_cost,
    shares,
    table,
    training_flops,
)

SMALL = ["model.layers=4", "model.context=256", "train.global_batch=64"]


@pytest.fixture
def planned(repo):
    def planned(*overrides, devices=8, machine="dgx-h100", **options):
        config = load_config(
            repo / "configs" / "llama_bytes.yaml", [*SMALL, *overrides]
        )
        return make_plan(
            resolve(config), read_hardware(machine), devices, **options
        )

    return planned


def test_the_fragment_is_a_configuration_that_fits(planned, repo, tmp_path):
    plan = planned()
    assert len(plan.found.fitting) > 10
    for candidate in plan.found.fitting[:20]:
        file = tmp_path / "chosen.yaml"
        base = repo / "configs" / "llama_bytes.yaml"
        text = "\n".join(fragment(candidate))
        file.write_text(f"base: {base}\n{text}\n")
        config = resolve(load_config(file, [*SMALL, "run.device=cpu"]))
        found = fit(config, candidate.layout.devices)
        assert found.mesh.size("tensor") == candidate.layout.tensor
        assert found.engine.recompute == candidate.layout.recompute
        assert found.engine.micro_batch == candidate.layout.micro_batch


def test_keys_of_the_command_line_stay(planned):
    plan = planned("parallel.tensor=2", "train.recompute=block")
    assert {c.layout.tensor for c in plan.found.fitting} == {2}
    assert {c.layout.recompute for c in plan.found.fitting} == {"block"}
    # What the file says is free.
    assert len({c.layout.micro_batch for c in plan.found.fitting}) > 1


def test_a_step_is_accounted_for(planned):
    for candidate in planned().found.fitting[:5]:
        parts = shares(candidate)
        # What the slowest stage does once, others wait for.
        assert 0.7 < sum(parts.values()) < 1.01
        assert 0 < of_peak(planned(), candidate) < 1


def test_the_table_is_for_a_terminal(planned):
    plan = planned(grid=0.4)
    lines = list(table(plan, rows=3))
    assert lines[0].startswith("llama, ")
    assert "at most 8 devices of DGX H100" in lines
    rows = [line for line in lines if re.match(r" ?\d+ d\d", line)]
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    assert max(map(len, rows)) <= 80
    assert any("matrix products" in line for line in lines)
    assert any("t CO2 (at 400 g/kWh)" in line for line in lines)
    assert "parallel:" in lines


def test_a_machine_that_is_too_small_says_what_it_takes(planned, tmp_path):
    plan = planned(
        "model.layers=126",
        "model.hidden=16384",
        "model.heads=128",
        "parallel.zero=1",
        devices=2,
    )
    assert not plan.found.fitting
    text = "\n".join(table(plan))
    assert "nothing fits" in text


def test_a_batch_that_no_layout_divides_is_refused(planned):
    with pytest.raises(ValueError, match="data"):
        planned("parallel.data=5")


def test_narrow_products_are_quicker(planned):
    keys = ["model.hidden=4096", "model.heads=32", "parallel.tensor=1",
            "parallel.pipeline=1", "parallel.context=1"]  # fmt: skip
    wide = planned(*keys).found.fitting[0].forecast.seconds
    narrow = planned(*keys, products="f8").found.fitting[0].forecast.seconds
    assert narrow < wide


def test_the_whole_run_counts_failures_and_operations(planned):
    plan = planned("train.steps=1000000")
    best = plan.found.fitting[0]
    cost = run_cost(plan, best)
    assert cost.hours_between_failures == pytest.approx(
        50000 / best.layout.devices
    )
    assert 0.9 < cost.useful < 1
    assert cost.device_hours == pytest.approx(cost.hours * best.layout.devices)
    tokens = 1_000_000 * 64 * 256
    assert training_flops(plan) == pytest.approx(
        tokens * plan.engine.model.flops_per_token
    )
