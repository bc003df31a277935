"""Streams that fail or are not read must neither raise nor block."""

import io
import os
import subprocess
import sys

from eisbach.run.output import Output, open_missing, warn


def text_of(descriptor, **options):
    return io.TextIOWrapper(os.fdopen(descriptor, "wb", buffering=0), **options)


def test_text_arrives():
    reader, writer = os.pipe()
    with text_of(writer, encoding="utf-8") as stream:
        stream.write("before ")
        with Output(stream) as output:
            print("a line: ä", file=output)
    assert os.read(reader, 100).decode() == "before a line: ä\n"


def test_what_an_encoding_cannot_say_is_escaped():
    reader, writer = os.pipe()
    with text_of(writer, encoding="ascii") as stream, Output(stream) as output:
        assert output.encoding == "ascii"
        output.write("ä█\n")
    assert os.read(reader, 100) == b"\\xe4\\u2588\n"


def test_a_stream_without_a_file_is_written_to():
    stream = io.StringIO()
    Output(stream).write("a notebook")
    assert stream.getvalue() == "a notebook"


def test_a_reader_that_is_gone_is_told_once(capfd):
    reader, writer = os.pipe()
    with text_of(writer) as stream:
        output = Output(stream, name="standard output")
        os.close(reader)
        for _ in range(3):
            output.write("a line\n")
        output.close()
    assert capfd.readouterr().err == (
        "eisbach: warning: standard output is left out from here on: "
        "Broken pipe\n"
    )


def test_a_full_disk_is_told_once(capfd):
    with (
        open("/dev/full", "w") as stream,
        Output(stream, name="standard output") as output,
    ):
        for _ in range(3):
            print("a line", file=output, flush=True)
    assert capfd.readouterr().err == (
        "eisbach: warning: standard output is left out from here on: "
        "No space left on device\n"
    )


def test_nobody_waits_for_a_reader_that_stands_still(capfd, monkeypatch):
    monkeypatch.setattr("eisbach.run.output._CLOSING_SECONDS", 0.1)
    reader, writer = os.pipe()
    with text_of(writer) as stream:
        output = Output(stream, name="standard output")
        for _ in range(3000):
            output.write("x" * 999 + "\n")
        assert os.get_blocking(writer)  # it is shared with others
        # What did not fit memory is left out, and what did is still there.
        got = len(os.read(reader, 1 << 16))
        output.flush()
        got += len(os.read(reader, 1 << 16))
        assert got > 1 << 16
        output.close()
    assert capfd.readouterr().err == (
        "eisbach: warning: standard output is left out from here on: "
        "nobody reads it\n"
    )


def test_a_terminal_that_stands_still_or_goes_is_not_waited_for(
    capfd, monkeypatch
):
    monkeypatch.setattr("eisbach.run.output._CLOSING_SECONDS", 0.1)
    for goes, why in ((False, "nobody reads it"), (True, "Input/output error")):
        ours, theirs = os.openpty()
        with text_of(theirs) as stream:
            output = Output(stream, name="standard output")
            assert output.isatty()
            if goes:
                os.close(ours)
            for _ in range(99):
                output.write("x" * 999 + "\n")
            output.close()
        assert capfd.readouterr().err == (
            "eisbach: warning: standard output is left out from here on: "
            f"{why}\n"
        )
        if not goes:
            os.close(ours)


def test_a_closed_stream_takes_everything():
    output = Output(None, name="standard output")
    assert not output.isatty()
    print("a line", file=output, flush=True)
    output.close()


def test_a_warning_without_stderr_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    warn("nobody hears it")
    open_missing()


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    path = tmp_path / "file"
    code = (
        "from eisbach.run.output import open_missing\n"
        "open_missing()\n"
        f"file = open({str(path)!r}, 'w')\n"
        "print('lost')\n"
        "assert file.fileno() > 2, file.fileno()\n"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&- >&-', sys.executable, code],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert path.read_text() == ""


def test_plain_prints_escape_what_an_encoding_cannot_say():
    code = (
        "from eisbach.run.output import open_missing\n"
        "open_missing()\n"
        "print('ä')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"\\xe4\n", b"")
