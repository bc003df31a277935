import re

import pytest

from eisbach.planning import table
from eisbach.planning.constraints import constraints
from eisbach.planning.keys import argument_lines


def rows_of(lines):
    return [line for line in lines if re.match(r" *\d+ +d\d", line)]


def test_the_table_is_for_a_terminal(planned):
    plan = planned(grid=0.4)
    lines = list(table(plan, rows=3, more=list(constraints(plan))))
    text = " ".join(lines)
    assert lines[0].startswith("llama, ")
    assert "at most 8 devices of DGX H100" in lines
    assert [row.split()[0] for row in rows_of(lines)] == ["1", "2", "3"]
    assert max(map(len, lines)) <= 80
    assert "matrix products" in text
    assert "(at 400 g/kWh)" in text
    assert re.search(r"takes \S+ to \S+ s a step\.", text)
    assert re.search(r"Of 74\.5 GiB the fullest device holds \d", text)
    assert "(MFU)" in text
    half = plan.best.layout.devices // 2
    assert f"- Half of them ({half}): " in text
    assert next(argument_lines(plan, plan.best)) in lines
    assert "EUR" not in text


def test_what_was_asked_for_is_told(planned):
    plan = planned(by="cost", price=2.5, products="f8")
    lines = list(table(plan))
    assert "best: least device hours of the whole run" in lines
    assert (
        "modelled, not yet in the runtime: linear layers that multiply in f8"
        in lines
    )
    assert re.search(r"EUR \(at 0 g/kWh, 2\.5 EUR for an", " ".join(lines))
    assert "of which the site feeds 3" in " ".join(
        table(planned(power_cap=0.005))
    )


def test_experts_are_told(of_experts):
    lines = list(table(of_experts))
    assert "parameters, of which a token meets " in lines[0]
    text = " ".join(lines)
    assert "modelled, not yet in the runtime: 16 experts of width 512" in text
    assert "p: pipeline, e: expert. The first has" in text
    assert re.search(r"d\d+ c\d+ t\d+ p1 e4", text)


@pytest.mark.parametrize("width", [40, 60, 80, 100])
@pytest.mark.parametrize("name", ["of_experts", "piped", "never"])
def test_no_line_is_wider_than_the_terminal(planned, request, name, width):
    if name == "never":
        plan = planned(mtbf=1e-300, price=1e6, grid=1e3)
    else:
        plan = request.getfixturevalue(name)
    more = list(constraints(plan))
    lines = list(table(plan, more=more, width=width))
    assert max(map(len, lines)) <= width


def test_columns_without_room_are_named(planned):
    plan = planned()
    whole, narrow = list(table(plan)), list(table(plan, width=45))
    assert "45 columns have no room for idle, peak" in " ".join(narrow)
    assert "no room" not in " ".join(whole)
    for row, other in zip(rows_of(whole), rows_of(narrow), strict=True):
        assert set(other.split()) < set(row.split())


def test_a_run_that_never_ends_says_why(planned):
    text = " ".join(table(planned(mtbf=1e-300, price=2.0)))
    assert re.search(r"tokens: never over: a failure every \S+ s, after", text)
    assert "EUR" not in text
    assert "MWh" not in text
    assert "inf" not in text
    assert "nan" not in text


def test_a_machine_that_does_not_say_what_it_draws_has_no_energy(planned):
    text = " ".join(table(planned(watts=0)))
    assert "device hours" in text
    assert "MWh" not in text
    assert "g/kWh" not in text
