"""Which lines of a damaged file a resumed run takes over."""

import os

import pytest

from eisbach.run.lines import keep_until, missing, read_all


@pytest.fixture
def lines(tmp_path):
    def lines(content):
        path = tmp_path / "a.jsonl"
        path.write_bytes(content)
        return read_all(path)

    return lines


def good(*steps):
    return b"".join(b'{"step": %d}\n' % step for step in steps)


def steps(kept):
    return [line.record["step"] for line in kept]


def faults(damaged):
    return [(line.number, line.fault) for line in damaged]


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (b"\0" * 9, "9 zero bytes"),
        (b'{"step": 2, "lo', "no JSON"),
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"17", "no object with a step"),
        (b'{"loss": 1}', "no object with a step"),
        (b'{"step": "2"}', "no object with a step"),
        (b'{"step": true}', "no object with a step"),
        (b'{"step": 7}', "step 7 between 1 and 4"),
        (b'{"step": 1}', "step 1 between 1 and 4"),
        (b'{"step": -1}', "step -1 between 1 and 4"),
    ],
)
def test_a_damaged_line_is_sorted_out(lines, bad, fault):
    kept = keep_until(lines(good(1) + bad + b"\n" + good(3, 4, 5)), 4)
    assert steps(kept.lines) == [1, 3, 4]
    assert faults(kept.damaged) == [(2, fault)]
    assert kept.damaged[0].raw == bad


@pytest.mark.parametrize("tail", [b"\0" * 50, b'{"st', b"x\ny\n", good(6) * 2])
def test_what_follows_the_checkpoint_is_left_out(lines, tail):
    kept = keep_until(lines(good(1, 2, 3, 4, 5) + tail), 4)
    assert steps(kept.lines) == [1, 2, 3, 4]
    assert not kept.damaged


def test_nothing_is_kept_of_a_run_that_starts(lines):
    kept = keep_until(lines(good(1, 2)), 0)
    assert (kept.lines, kept.damaged) == ([], [])


def test_a_cut_off_end_is_damaged(lines):
    *_, last = lines(good(1) + b'{"step": 2}')
    assert (last.number, last.fault) == (2, "the end is cut off")


def test_missing_steps_are_spelled(lines):
    assert missing(lines(good(1, 2, 3)), 3) == ""
    assert missing(lines(good(2, 3, 5, 8)), 9) == "1, 4, 6-7, 9"
    assert missing([], 3) == "1-3"
    assert missing(lines(good(5, 6, 8)), 9, after=4) == "7, 9"


def test_no_file_has_no_lines(tmp_path):
    assert read_all(tmp_path / "none") == []


def test_what_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(
        ValueError, match=r"pipe: is a FIFO, not a regular file"
    ):
        read_all(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is a folder"):
        read_all(tmp_path)
