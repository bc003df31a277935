import pytest


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--help"], ["config", "data", "doctor"]),
        (["config", "--help"], ["CONFIG", "eisbach config configs/"]),
        (["data", "prepare", "--help"], ["--tokenizer", "web.jsonl"]),
        (["doctor", "--help"], ["missing"]),
    ],
)
def test_help_shows_an_example(eisbach, arguments, parts):
    done = eisbach(*arguments)
    assert done.returncode == 0, done.stderr
    for part in parts:
        assert part in done.stdout


def test_an_unknown_command_is_an_error(eisbach):
    done = eisbach("trian")
    assert done.returncode == 2
    assert "trian" in done.stderr
