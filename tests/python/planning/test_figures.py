from dataclasses import replace

import pytest

from eisbach.hardware import changed, machine_of, read_hardware
from eisbach.planning import figures


def test_a_step_is_accounted_for(planned):
    plan = planned()
    for candidate in plan.found.fitting[:5]:
        parts = figures.shares(candidate)
        # What the slowest stage does once, others wait for.
        assert 0.7 < sum(parts.values()) < 1.01
        assert 0 < figures.of_peak(plan, candidate) < 1


def test_the_whole_run_counts_failures_and_operations(planned):
    plan = planned("train.steps=1000000")
    best = plan.best
    cost = figures.whole_run(plan, best).value
    assert cost.hours_between_failures == pytest.approx(
        50000 / best.layout.devices
    )
    assert 0.9 < cost.useful < 1
    assert cost.device_hours == pytest.approx(cost.hours * best.layout.devices)
    tokens = 1_000_000 * 64 * 256
    assert figures.training_flops(plan) == pytest.approx(
        tokens * plan.engine.model.flops_per_token
    )
    assert figures.crossed(plan) == []


def test_ones_own_figures_stand_in_for_the_machines(planned):
    steps = "train.steps=1000000"
    cost = figures.whole_run(planned(steps), planned(steps).best).value
    plan = planned(steps, mtbf=500, restart=900, save_stall=9)
    worse = figures.whole_run(plan, plan.best).value
    assert worse.hours_between_failures == pytest.approx(
        cost.hours_between_failures / 100
    )
    assert worse.useful < cost.useful
    assert worse.save_every < cost.save_every
    never = planned(steps, mtbf=0)
    assert figures.whole_run(never, never.best).value.useful == 1


def test_ranges_are_as_wide_as_the_error(planned):
    plan = planned()
    p90 = read_hardware("dgx-h100").accuracy.p90
    step = figures.step(plan, plan.best)
    assert step.value / step.low == pytest.approx(1 + p90)
    assert step.value / step.high == pytest.approx(1 - p90)
    hours = figures.whole_run(plan, plan.best).amount("hours")
    assert hours.low / hours.value == pytest.approx(step.low / step.value)
    assert hours.high / hours.value == pytest.approx(step.high / step.value)
    assert f"within {p90:.0%}" in figures.basis(plan)


def test_a_machine_that_was_never_compared_says_so(planned, tmp_path, repo):
    plan = planned(machine="rtx-pro-6000")
    assert figures.basis(plan).startswith("No measured step on such a machine")
    lines = (repo / "configs/hardware/dgx-h100.yaml").read_text()
    file = tmp_path / "mine.yaml"
    file.write_text(lines[: lines.index("accuracy:")])
    plan = planned(machine=str(file))
    assert figures.basis(plan).startswith("Nobody has compared")
    step = figures.step(plan, plan.best)
    assert step.low == step.value == step.high


def test_what_is_only_modelled_is_named(planned):
    assert figures.not_in_runtime(planned()) == []
    (feature,) = figures.not_in_runtime(planned(products="f8"))
    assert feature.endswith("f8")


def test_experts_are_only_modelled(planned, of_experts):
    (feature,) = figures.not_in_runtime(of_experts)
    assert feature.startswith("16 experts of width 512 a layer, 2 for")
    assert "with experts forecasts were farther" in figures.basis(of_experts)
    assert "experts" not in figures.basis(planned())
    best = of_experts.best
    rate = of_experts.machine.peak.f16
    assert figures.of_peak(of_experts, best) == pytest.approx(
        figures.per_device(best) * of_experts.size.flops_per_token / rate
    )
    assert figures.training_flops(of_experts) == (
        figures.tokens(of_experts) * of_experts.size.flops_per_token
    )


def test_the_runner_up_is_told_by_what_it_loses(planned):
    plan = planned()
    first, second = plan.found.fitting[:2]
    says = figures.why_not(first, second)
    slower = second.forecast.seconds / first.forecast.seconds - 1
    if slower >= 0.002:
        assert f"takes {slower:.1%} longer" in says
    assert figures.why_not(first, first) == "The second takes as long."
    assert "less time" in figures.why_not(plan.found.fitting[-1], first)


def test_a_machine_without_16_bits_multiplies_them_as_f32(planned):
    file = read_hardware("dgx-h100")
    tflops = file.chip.tflops.model_copy(update={"f16": 0.0})
    plan = replace(
        planned("precision.compute=bf16"),
        machine=machine_of(changed(file, {"chip.tflops": tflops})),
    )
    whole = planned("precision.compute=bf16")
    share = figures.of_peak(plan, plan.best) / figures.of_peak(whole, plan.best)
    assert share == pytest.approx(989 / 494)
