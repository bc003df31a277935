import pytest

from eisbach import _C
from eisbach.config import load_config, resolve
from eisbach.hardware import read_hardware
from eisbach.planning import ExpertTerms, arguments, make_plan, table, words
from eisbach.planning.document import layout_keys


def test_keys_of_the_command_line_stay(planned):
    plan = planned("parallel.tensor=2", "train.recompute=block")
    assert {c.layout.tensor for c in plan.found.fitting} == {2}
    assert {c.layout.recompute for c in plan.found.fitting} == {"block"}
    # What the file says is free.
    said = plan.config.train.micro_batch
    assert {c.layout.micro_batch for c in plan.found.fitting} != {said}


def test_as_few_blocks_are_recomputed_as_fit(planned):
    deep = ["model.layers=20", "model.hidden=4096", "model.heads=32",
            "model.context=2048", "train.global_batch=16",
            "train.micro_batch=8", "precision.compute=bf16"]  # fmt: skip
    plan = planned(*deep, devices=1)
    layout = plan.best.layout
    count = layout.recompute_layers
    assert layout.recompute == "selective"
    assert 1 < count < 20
    chosen = {"recompute": "selective", "recompute_layers": count}
    assert chosen.items() <= layout_keys(layout).items()
    assert f"selective {count}" == words.recompute(layout)
    assert any(f" select {count} " in line for line in table(plan))
    assert f"train.recompute_layers={count}" in arguments(plan, plan.best)

    def fixed(layers):
        keys = ["train.recompute=selective", f"train.recompute_layers={layers}"]
        return planned(*deep, *keys, devices=1)

    for wrong, says in (-1, "must not be below 0"), ("some", "nor all"):
        with pytest.raises(ValueError, match=says):
            _C.SearchOptions(1, recompute_layers=wrong)
    assert not fixed(count - 1).found.fitting
    assert fixed(count).best.forecast.seconds == plan.best.forecast.seconds
    assert fixed("auto").best.layout.recompute_layers == count
    assert fixed("all").best.layout.recompute_layers == "all"
    assert fixed("all").best.forecast.seconds > plan.best.forecast.seconds
    # Which kind is a choice as well, of those that blocks may have.
    alone = planned(*deep, f"train.recompute_layers={count}", devices=1)
    assert alone.best.forecast.seconds == plan.best.forecast.seconds
    with pytest.raises(ValueError, match="has a meaning only with"):
        planned("train.recompute=none", "train.recompute_layers=2")


def test_a_search_tells_how_far_it_is_and_can_be_ended(small, repo):
    config = resolve(load_config(repo / "configs" / "llama_bytes.yaml", small))
    file = read_hardware("dgx-h100")
    seen = []
    plan = make_plan(
        config, file, 8, progress=lambda tried, best: seen.append((tried, best))
    )
    assert seen
    assert [t for t, _ in seen] == sorted(t for t, _ in seen)
    quickest = plan.best.forecast.seconds
    assert all(b is None or b.forecast.seconds >= quickest for _, b in seen)

    def stop(tried, best):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_plan(config, file, 8, progress=stop)


def test_keys_that_leave_no_layout_are_refused_by_name(planned):
    with pytest.raises(ValueError, match=r"parallel\.data=5: .*works: .*=4"):
        planned("parallel.data=5")
    with pytest.raises(ValueError, match=r"parallel\.tensor=8: .*: .*=4$"):
        planned("parallel.tensor=8", "train.micro_batch=1", devices=4)
    # Of a key that no search chooses the engine says what it says.
    with pytest.raises(ValueError, match=r"zero_group=3 .*works: "):
        planned("parallel.zero_group=3", "parallel.zero=1")


def test_narrow_products_are_quicker(planned):
    keys = ["model.hidden=4096", "model.heads=32", "parallel.tensor=1",
            "parallel.pipeline=1", "parallel.context=1"]  # fmt: skip
    wide = planned(*keys).best.forecast.seconds
    assert planned(*keys, products="f8").best.forecast.seconds < wide


def test_experts_are_divided_among_ranks(planned, of_experts):
    plan = of_experts
    assert plan.size.active < plan.size.parameters
    assert {c.layout.expert for c in plan.found.fitting} == {4}
    keys = ("train.micro_batch=2", "parallel.pipeline=1")
    free = planned(*keys, experts=ExpertTerms(16, 2, hidden=512))
    assert plan.best.forecast.seconds >= free.best.forecast.seconds
    for held, candidate in zip(plan.memory, plan.found.fitting, strict=False):
        assert held.peak == candidate.forecast.memory
    assert plan.timeline.step_seconds == plan.best.forecast.seconds
    names = {span.name for span in plan.timeline.streams[0].spans}
    assert {"grouped_matmul", "permute", "top_k"} <= names


def test_one_expert_is_the_mlp(planned):
    keys = ("train.micro_batch=2", "parallel.tensor=1")
    one = planned(*keys, experts=ExpertTerms(1, 1))
    dense = planned(*keys)
    assert one.size.parameters == dense.size.parameters
    assert one.best.forecast.memory == dense.best.forecast.memory
    assert one.best.forecast.seconds == pytest.approx(
        dense.best.forecast.seconds, rel=1e-3
    )


@pytest.mark.parametrize(
    ("experts", "words"),
    [
        (ExpertTerms(8, 9), "experts_per_token=9 .*works: experts_per.*=8"),
        (ExpertTerms(10**6, 2), "experts=1000000 is more .*: experts=32768"),
        (
            ExpertTerms(2, 2, parallel=8),
            "expert_parallel=8: .* experts=2 .*works: expert_parallel=2",
        ),
        (ExpertTerms(8, 2, hidden=0), "expert_hidden=0 is below 1"),
        (ExpertTerms(8, 2, shared_hidden=-1), "shared_hidden=-1 is below 0"),
        (ExpertTerms(8, 2, parallel=3), "expert_parallel=3: .*works: .*=[24]"),
    ],
)
def test_experts_that_cannot_be_are_refused(planned, experts, words):
    with pytest.raises(ValueError, match=words):
        planned(experts=experts)


def test_the_best_is_what_was_asked_for(planned):
    quick, cheap = planned(), planned(by="cost")
    assert cheap.best.layout.devices < quick.best.layout.devices
    assert cheap.best.forecast.seconds > quick.best.forecast.seconds
    # Seconds of a step there, device hours here.
    assert quick.best.score == quick.best.forecast.seconds
    assert cheap.best.score < 1e6


def test_a_deadline_and_a_cap_are_kept_or_refused(planned):
    capped = planned(power_cap=0.005)  # 3 x 1275 W x 1.25
    assert capped.fed == 3
    assert {c.layout.devices for c in capped.found.fitting} <= {1, 2, 3}
    with pytest.raises(ValueError, match=r"works: deadline=\d+\.\d\dh"):
        planned(deadline=1e-6)
    with pytest.raises(ValueError, match=r"works: power_cap=0\.001594"):
        planned(power_cap=0.001)


def test_the_memory_of_the_first_is_told_by_kinds(planned):
    plan = planned()
    assert len(plan.memory) == 5
    for held, candidate in zip(plan.memory, plan.found.fitting, strict=False):
        assert held.peak == candidate.forecast.memory
