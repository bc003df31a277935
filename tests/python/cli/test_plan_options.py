import pytest

from eisbach.cli.plan_options import hours_of


def test_times_are_hours_or_days():
    assert hours_of("--deadline", "36h") == 36
    assert hours_of("--deadline", "1.5d") == 36
    assert hours_of("--deadline", " 90 D ") == 2160


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no time; hours are written as 36h, days as 90d"),
        ("h", "is no time"),
        ("3w", "is no time"),
        ("inf", "is no time"),
        ("nanh", "is no time"),
        ("5", "is no time; .* nearest that works: 5h$"),
        ("2 days", "nearest that works: 2d$"),
        ("0h", "must be above 0 and at most 1000000000h$"),
        ("-1d", "must be above 0"),
        ("1e300h", "nearest that works: 1000000000h$"),
    ],
)
def test_what_is_no_time_says_what_is(text, words):
    with pytest.raises(ValueError, match=f"--deadline {text}: .*{words}"):
        hours_of("--deadline", text)
    if "works: " in words:
        assert hours_of("--deadline", words.rpartition("works: ")[2].strip("$"))
