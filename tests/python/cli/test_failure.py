import os
import signal
import subprocess
import sys
import time

import pytest

from eisbach.cli.app import app
from eisbach.cli.failure import tell

CODE = """
from eisbach.cli.failure import told_once
with told_once():
    raise {error}
"""


def fail(error: str, **environment):
    return subprocess.run(
        [sys.executable, "-c", CODE.format(error=error)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_a_user_can_mend_is_a_line():
    done = fail("ValueError('heads=5 does not divide hidden=64')")
    assert done.returncode == 1
    assert done.stderr == (
        "eisbach: error: heads=5 does not divide hidden=64\n"
    )


def test_a_bug_shows_its_trace():
    for done in (
        fail("KeyError('x')"),
        fail("ValueError('x')", EISBACH_TRACEBACK="1"),
    ):
        assert done.returncode == 1
        assert "Traceback" in done.stderr


@pytest.mark.parametrize("name", ["OMPI_COMM_WORLD_RANK", "PMIX_RANK"])
def test_other_ranks_leave_rank_0_the_first_word(name):
    start = time.monotonic()
    done = fail("ValueError('x')", **{name: "3"})
    assert time.monotonic() - start > 2
    assert done.returncode == 1
    assert done.stderr == "eisbach: error: rank 3: x\n"


def test_what_the_system_says_begins_with_the_file():
    done = fail("FileNotFoundError(2, 'No such file', '/no/x')")
    assert done.stderr == "eisbach: error: /no/x: No such file\n"
    done = fail("OSError('core: disk is full')")
    assert done.stderr == "eisbach: error: core: disk is full\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["config", "--ranks", "0"], "'--ranks': 0: "),
        (["sample", "r", "--prompt", "x", "--top-k=-1"], "'--top-k': -1: "),
        (["data", "prepare", "--format", "abc"], "'--format': "),
    ],
)
def test_a_misused_option_shows_its_value(words, told, capsys):
    with pytest.raises(Exception, match=r"Input|abc") as caught:
        app(words, standalone_mode=False)
    tell(caught.value)
    said = capsys.readouterr().err
    assert said.startswith(f"eisbach: error: Invalid value for {told}")
    assert said.count(words[-1].rpartition("=")[2]) == 1


def check_interrupted(code):
    """Runs Python that Ctrl-C ends, and checks what is said."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130
    assert done.stderr == "eisbach: stopped by SIGINT\n"


INTERRUPT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = ["eisbach", *{words}]
from eisbach.cli import main
main()
"""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("eisbach.cli.app", ["runs"]),
        ("eisbach.cli.failure", ["runs"]),
        ("typer", ["runs"]),
        ("eisbach.run.comparison", ["runs"]),
        ("eisbach.chatting", ["chat", "nowhere"]),
        ("eisbach._C", ["schedule", "1f1b"]),
    ],
)
def test_an_interrupt_is_a_word_and_a_status(name, words):
    check_interrupted(INTERRUPT.format(name=name, words=words))


def test_an_interrupt_may_have_become_another_error():
    code = (
        "from eisbach.cli import app, main\n"
        "class Interrupted:\n"
        "    def __set_name__(self, owner, name):\n"
        "        raise KeyboardInterrupt\n"
        "def run(_):\n"
        "    class Late:\n"
        "        late = Interrupted()\n"
        "app.run = run\n"
        "main()\n"
    )
    check_interrupted(code)


def test_standard_output_is_named_where_it_fails():
    for words in (["schedule", "1f1b"], ["--help"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "eisbach", *words],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 1
        assert done.stderr == (
            "eisbach: error: standard output: No space left on device\n"
        )
