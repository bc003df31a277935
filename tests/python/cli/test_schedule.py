import pytest


def test_a_schedule_is_printed_and_drawn(eisbach, tmp_path):
    path = tmp_path / "a.png"
    done = eisbach(
        "schedule", "zb_v", "--stages", "2", "--micro-batches", "4",
        "--backward-input", "1.2", "--output", path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert told[0] == "zb_v: 2 stages, 2 chunks, 4 micro-batches"
    assert told[-1] == f"picture: {path}"
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["2f2b"], 'schedule "2f2b" is not one of 1f1b, dual_pipe_v'),
        (["1f1b", "--chunks", "2"], "nearest that works: 1"),
        (["1f1b", "--output", "a.svg"], "nearest that works: a.png"),
        (["1f1b", "--output", "none/a.png"], "there is no folder none"),
        (["1f1b", "--stages", "0"], "'--stages'"),
    ],
)
def test_what_does_not_fit_is_refused(eisbach, arguments, words):
    done = eisbach("schedule", *arguments)
    assert done.returncode != 0
    assert words in done.stderr
