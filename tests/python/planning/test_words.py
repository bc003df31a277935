import pytest

from eisbach.planning import ExpertTerms, words


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.5, 0.9, "30 to 54 min"),
        (0.001, 1, "4 s to 60 min"),
        (30, 100, "30.0 h to 4.2 days"),
        (240, 2400, "10.0 to 100 days"),
        (24, 24.001, "24.0 h"),
        (1e-300, 1e-5, "3.6e-297 to 0.0360 s"),
        (1e5, 1e300, "11.4 to 1.14e+296 years"),
    ],
)
def test_times_are_told_from_what_to_what(low, high, text):
    assert words.span(low, high, words.hours) == text


def test_layouts_of_experts_say_how_many_ranks_divide_them(planned, of_experts):
    assert words.layout(of_experts.best.layout).endswith(" e4")
    whole = planned(
        "parallel.data=2", "parallel.tensor=1", "parallel.context=1",
        experts=ExpertTerms(16, 2, hidden=512, parallel=1),
    )  # fmt: skip
    assert words.layout(whole.best.layout).endswith(" e1")
    assert "e" not in words.layout(planned().best.layout)


def test_amounts_are_short():
    assert words.span(0.012345, 99.94) == "0.0123 to 99.9"
    assert words.span(1234.5, 7e6) == "1,230 to 7.00 M"
    assert words.span(8.888e6, 9.99e6) == "8.89 to 9.99 M"
    assert words.seconds(0.0123456) == "0.01235"
    assert words.seconds(12345) == "12,345"


def test_no_number_is_endless():
    for value in (1e-300, 1e-9, 1e15, 1e300):
        for spell in (words.amount, words.hours, words.seconds):
            assert len(spell(value)) < 20
