import fcntl
import io
import os
import pty
import struct
import termios
from types import SimpleNamespace

import pytest

from eisbach import search_line
from eisbach.search_line import SearchLine


class Terminal(io.StringIO):
    def isatty(self):
        return True


BEST = SimpleNamespace(
    layout=SimpleNamespace(data=8, context=1, tensor=4, pipeline=2, expert=0),
    forecast=SimpleNamespace(seconds=1.23456),
)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(search_line, "_EVERY_SECONDS", 0.0)


def test_a_terminal_sees_how_far_it_is():
    terminal = Terminal()
    with SearchLine(terminal) as line:
        line.at(0, None)
        line.at(1234, BEST)
    shown = terminal.getvalue().split("\r")
    assert shown[1] == "0 layouts tried"
    assert shown[2].strip() == (
        "1,234 layouts tried; the best so far 1.235 s: d8 c1 t4 p2"
    )
    # And nothing is left of it.
    assert shown[3].strip() == shown[4] == ""
    assert len(shown[3]) == len(shown[2])


def test_no_line_is_longer_than_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    with SearchLine(terminal) as line:
        line.at(1234, BEST)
    assert max(map(len, terminal.getvalue().split("\r"))) == 39


def test_the_width_is_that_of_the_terminal_that_shows_it():
    ours, theirs = pty.openpty()
    size = struct.pack("HHHH", 24, 30, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    with open(theirs, "w") as terminal, SearchLine(terminal) as line:
        line.at(1234, BEST)
    shown = os.read(ours, 4096).decode().split("\r")
    os.close(ours)
    assert shown[1] == "1,234 layouts tried; the best"


def test_a_file_sees_nothing():
    file = io.StringIO()
    with SearchLine(file) as line:
        line.at(1, BEST)
    assert file.getvalue() == ""


def test_what_is_soon_over_needs_no_line(monkeypatch):
    monkeypatch.setattr(search_line, "_EVERY_SECONDS", 1000.0)
    terminal = Terminal()
    with SearchLine(terminal) as line:
        line.at(1, BEST)
    assert terminal.getvalue() == ""
