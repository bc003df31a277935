import re

import pytest

from eisbach.planning import figures
from eisbach.planning.constraints import constraints


def told(plan):
    return {one.kind: one for one in constraints(plan)}


def test_half_and_a_quarter_of_the_devices_are_told(planned):
    plan = planned()
    more = told(plan)
    assert set(more) == {"half", "quarter"}
    before = plan.best.forecast.seconds
    for kind, part in (("half", 2), ("quarter", 4)):
        one, devices = more[kind], plan.best.layout.devices // part
        assert one.devices == devices
        assert one.candidate.layout.devices <= devices
        assert one.candidate.forecast.seconds > before
        longer = one.candidate.forecast.seconds / plan.best.forecast.seconds
        assert f"): at most {one.candidate.forecast.seconds:.4g} s" in one.says
        assert f"{longer:.2f} times as long" in one.says
        before = one.candidate.forecast.seconds


def test_a_cap_tells_what_is_without_it(planned):
    plan = planned(power_cap=0.005)
    one = told(plan)["power_cap"]
    assert one.devices == 3
    assert "0.005 MW feed 3 devices at full load (1,275 W each, x 1.25" in (
        one.says
    )
    # What a search finds without it.
    best = planned().best
    assert one.candidate.layout.devices == best.layout.devices > 3
    assert one.candidate.forecast.seconds == best.forecast.seconds
    loose = told(planned(power_cap=1))["power_cap"]
    assert loose.candidate is None
    assert loose.says.endswith("all 8 that there are.")


def test_a_deadline_tells_the_fewest_devices(planned):
    quick = planned()
    hours = figures.whole_run(quick, quick.best).value.hours
    plan = planned(deadline=3 * hours)
    one = told(plan)["deadline"]
    assert one.devices == one.candidate.layout.devices < 8
    assert figures.whole_run(plan, one.candidate).value.hours <= 3 * hours
    assert f"on {one.devices} already: " in one.says
    assert "which is in time as well." in one.says


def test_a_deadline_says_how_sure_it_is(planned):
    quick = planned()
    run = figures.whole_run(quick, quick.best)
    near = told(planned(deadline=1.01 * run.value.hours))["deadline"]
    assert "which is too late: a deadline is kept by the middle." in near.says
    surely = float(re.search(r"keeps --deadline ([\d.]+)h", near.says)[1])
    share = run.value.hours / run.high.hours
    assert surely == pytest.approx(1.01 * run.value.hours * share, abs=0.01)


def test_a_given_key_that_needs_more_devices_is_named(planned):
    more = told(planned("parallel.data=8", "parallel.tensor=1"))
    assert more["half"].candidate is None
    assert "(4): parallel.data=8: data x tensor x" in more["half"].says
    assert "nearest that works: parallel.data=4." in more["half"].says


def test_one_device_has_no_half(planned):
    assert told(planned(devices=1)) == {}


def test_runs_that_never_end_are_not_compared(planned):
    for one in told(planned(mtbf=1e-300)).values():
        assert one.says.endswith("and the run never ends.")
    with pytest.raises(ValueError, match=r"never ends: .*works: no deadline"):
        planned(mtbf=1e-300, deadline=5.0)
    with pytest.raises(ValueError, match=r"by=cost: the run .*works: by=time"):
        planned(mtbf=1e-300, by="cost")
