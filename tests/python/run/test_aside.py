import os
import time

import pytest

from eisbach.run.aside import Aside


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Starts a module made of some text."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = []

    def program(text):
        (tmp_path / "beside_a_run.py").write_text(text)
        made.append(Aside("beside_a_run", ["x"], log=tmp_path / "log"))
        return made[-1]

    yield program
    for aside in made:
        aside.close(seconds=0)


def test_the_end_of_its_input_is_the_end_of_the_run(program, tmp_path):
    aside = program("import sys\nprint(sys.argv[1], repr(sys.stdin.read()))")
    assert aside.ended() is None
    aside.close(seconds=60)
    assert aside.ended() == 0
    assert aside.last_words() == "x ''"


def test_one_that_does_not_end_is_ended(program):
    aside = program("import time\ntime.sleep(3600)")
    aside.close(seconds=0.1)
    assert aside.ended() == -9


def test_its_last_words_are_kept(program):
    aside = program("import sys\nprint('a')\nsys.exit('no such tracker')")
    while aside.ended() is None:
        time.sleep(0.01)
    assert aside.ended() == 1
    assert aside.last_words() == "no such tracker"


def test_it_is_out_of_reach_of_the_terminal(program, tmp_path):
    aside = program("import os\nprint(os.getsid(0), os.getpid())")
    aside.close(seconds=60)
    session, process = aside.last_words().split()
    assert session == process != str(os.getsid(0))
