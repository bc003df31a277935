import io
import sys

from eisbach.meter import Meter


def test_a_pipe_sees_notes_and_no_bar(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with Meter(100) as meter:
        meter.show(50)
        meter.say("it is [large] and " + "long " * 30)
        meter.show(100)
    assert stream.getvalue() == "note: it is [large] and " + "long " * 30 + "\n"


def test_a_terminal_sees_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    for total in (100, None):
        with Meter(total) as meter:
            meter.show(50)
    assert "100 bytes" in stream.getvalue()
