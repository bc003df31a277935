import io

import pytest

from eisbach.run.metrics import StepMetrics, ValidationMetrics
from eisbach.run.progress import Progress, duration


def metrics(step, skipped=False):
    return StepMetrics(
        step,
        2.5,
        1.0,
        3e-4,
        512.0,
        skipped,
        64 * step,
        1234.5,
        0.1,
        0.2,
        99,
        0.05,
        0.01,
        0.0,
        0.04,
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_pipe_gets_plain_lines():
    stream = io.StringIO()
    progress = Progress(steps=7, log_every=3, stream=stream)
    for step in range(1, 8):
        progress.step(metrics(step))
    progress.validation(ValidationMetrics(7, 2.0, 2.885))
    progress.close()
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines[:-1]] == [
        "1/7", "3/7", "6/7", "7/7",
    ]  # fmt: skip
    assert "loss 2.5000" in lines[0]
    assert "1,234 tokens/s" in lines[0]
    assert lines[-1].endswith("loss 2.0000  2.8850 bits per byte")
    assert "\x1b" not in stream.getvalue()


def test_a_skipped_step_is_told():
    stream = io.StringIO()
    progress = Progress(steps=7, log_every=7, stream=stream)
    for step in range(1, 5):
        progress.step(metrics(step, skipped=step == 3))
    progress.close()
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["1/7", "3/7"]
    assert "skipped: a gradient overflowed at loss scale 512;" in lines[1]


def test_a_terminal_gets_a_bar_too():
    stream = Terminal()
    progress = Progress(steps=4, first=2, log_every=1, stream=stream)
    progress.step(metrics(3))
    progress.say("a [line]")
    progress.step(metrics(4))
    progress.close()
    progress.close()
    text = stream.getvalue()
    assert "4/4" in text
    assert "a [line]" in text
    assert "tokens/s" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0s"),
        (59, "59s"),
        (61, "1m01s"),
        (3599.6, "1h00m"),
        (7320, "2h02m"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
