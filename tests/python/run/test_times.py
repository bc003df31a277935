from types import SimpleNamespace

import pytest

from eisbach.run.times import shares, spell, step_times


def totals(matmul, attention, waiting):
    return SimpleNamespace(matmul=matmul, attention=attention, waiting=waiting)


def test_the_parts_of_a_step_leave_nothing_out():
    parts = step_times(totals(1, 2, 3), totals(5, 3, 3.5), 10.0)
    assert parts == {
        "matmul_seconds": 4,
        "attention_seconds": 1,
        "exposed_communication_seconds": 0.5,
        "other_seconds": 4.5,
    }


def test_what_is_left_is_never_negative():
    # Another clock measured the step.
    parts = step_times(totals(0, 0, 0), totals(1, 0, 0.1), 1.0)
    assert parts["other_seconds"] == 0


def line(seconds, **parts):
    names = ("matmul", "attention", "other", "exposed_communication")
    return {
        "step_seconds": seconds,
        **{f"{name}_seconds": parts.get(name, 0) for name in names},
    }


def test_long_steps_weigh_more():
    steps = [line(1, matmul=1), line(3, other=2, exposed_communication=1)]
    assert shares(steps) == {
        "matmul": 0.25,
        "attention": 0,
        "other": 0.5,
        "exposed_communication": 0.25,
    }


def test_no_step_has_no_shares():
    assert set(shares([]).values()) == {0}


def test_a_line_for_the_end_of_a_run():
    parts = {
        "matmul": 0.712,
        "attention": 0.118,
        "other": 0.16,
        "exposed_communication": 0.01,
    }
    assert sum(parts.values()) == pytest.approx(1)
    assert spell(parts) == (
        "time in steps: matmul 71 %, attention 12 %, other 16 %, "
        "exposed communication 1 %"
    )
