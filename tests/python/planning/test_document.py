import json

import pytest

from eisbach.planning import figures
from eisbach.planning.constraints import constraints
from eisbach.planning.document import document


def read(plan, **options):
    text = json.dumps(document(plan, **options), allow_nan=False)
    return json.loads(text)


def test_it_has_the_numbers_of_the_plan(planned):
    plan = planned(price=2.0, grid=0.4)
    told = read(plan, rows=7, more=list(constraints(plan)))
    assert told["format"] == 1
    assert told["model"]["parameters"] == plan.engine.model.parameters
    assert told["job"]["training_flops"] == figures.training_flops(plan)
    assert told["machine"]["name"] == "DGX H100"
    assert told["machine"]["chip"]["memory_gb"] == 80
    assert told["machine"]["accuracy"]["cases"] > 0
    assert told["terms"]["price"] == 2
    assert told["search"]["tried"] == plan.found.tried
    assert len(told["layouts"]) == 7
    for one, candidate in zip(
        told["layouts"], plan.found.fitting, strict=False
    ):
        assert one["step_seconds"]["value"] == candidate.forecast.seconds
        assert one["step_seconds"]["low"] < one["step_seconds"]["value"]
        assert one["layout"]["tensor"] == candidate.layout.tensor
        assert one["devices"] == candidate.layout.devices
        assert one["memory_bytes"] == candidate.forecast.memory
        assert one["mfu"] == figures.of_peak(plan, candidate)
        assert one["tokens_per_second_per_device"] == pytest.approx(
            64 * 256 / candidate.forecast.seconds / candidate.layout.devices
        )
    kinds = [sum(one["memory"].values()) for one in told["layouts"][:5]]
    assert kinds == [one["memory_bytes"] for one in told["layouts"][:5]]
    assert "memory" not in told["layouts"][5]
    run = told["best"]["run"]
    cost = figures.whole_run(plan, plan.best)
    assert run["hours"]["high"] == cost.high.hours
    assert run["eur"]["value"] == 2 * cost.value.device_hours
    assert run["co2_tonnes"]["value"] == cost.value.co2_tonnes > 0
    assert told["best"]["configuration"].startswith("parallel:\n")
    tensor = plan.best.layout.tensor
    assert f"parallel.tensor={tensor}" in told["best"]["arguments"]
    half = told["constraints"][0]
    assert half["kind"] == "half"
    assert (
        half["best"]["step_seconds"]["value"]
        > (told["layouts"][0]["step_seconds"]["value"])
    )


def test_experts_have_their_numbers(of_experts):
    told = read(of_experts)
    assert told["model"]["parameters"] == of_experts.size.parameters
    assert told["model"]["active_parameters"] == of_experts.size.active
    assert told["terms"]["experts"]["count"] == 16
    assert told["layouts"][0]["layout"]["expert"] == 4
    assert "# expert: 4" in told["best"]["configuration"]


def test_dense_layouts_have_no_experts(planned):
    told = read(planned())
    assert "expert" not in told["layouts"][0]["layout"]
    assert told["terms"]["experts"] is None
    assert told["model"]["active_parameters"] == told["model"]["parameters"]


def test_what_is_only_modelled_is_named(planned):
    (feature,) = read(planned(products="f8"))["not_in_runtime"]
    assert feature.endswith("f8")


def test_a_run_that_never_ends_has_no_numbers_and_says_why(planned):
    told = read(planned(mtbf=1e-300, price=2.0, grid=0.4))
    run, first = told["best"]["run"], told["layouts"][0]
    for name in (
        "hours",
        "device_hours",
        "megawatt_hours",
        "co2_tonnes",
        "eur",
    ):
        assert run[name] is None
    assert first["run_hours"] is None
    assert first["never_ends"].startswith("a failure every ")
    assert read(planned())["layouts"][0]["never_ends"] is None


def test_what_a_machine_does_not_say_is_null(planned):
    run = read(planned(watts=0))["best"]["run"]
    assert run["megawatt_hours"] is None
    assert run["co2_tonnes"] is None
    assert run["watts_per_device"] is None
    assert run["hours"]["value"] > 0
