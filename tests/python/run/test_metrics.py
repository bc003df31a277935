import json
import math
import os
import resource

import pytest

from eisbach.files import write_atomically
from eisbach.run.held import LostError
from eisbach.run.metrics import (
    LineWriter,
    ValidationMetrics,
    bits_per_byte,
    to_line,
)


def steps(path):
    return [json.loads(s)["step"] for s in path.read_text().splitlines()]


def test_a_line_is_on_disk_at_once(tmp_path):
    path = tmp_path / "v.jsonl"
    writer = LineWriter(path)
    writer.write(ValidationMetrics(1, 2.0, None))
    assert json.loads(path.read_text()) == {
        "step": 1,
        "loss": 2.0,
        "bits_per_byte": None,
    }
    writer.close()


def test_resume_drops_what_came_later(tmp_path):
    path = tmp_path / "v.jsonl"
    with LineWriter(path) as writer:
        for step in (1, 2, 3, 4):
            writer.write(ValidationMetrics(step, 2.0, None))
    with path.open("a") as stream:
        stream.write('{"step": 5, "lo')
    with LineWriter(path, keep_until=2) as writer:
        writer.write(ValidationMetrics(3, 1.0, None))
    assert steps(path) == [1, 2, 3]


def writer_of(path, *steps, keep_until=0):
    writer = LineWriter(path, keep_until=keep_until)
    for step in steps:
        writer.write(ValidationMetrics(step, 2.0, None))
    return writer


def test_a_damaged_line_is_told_and_kept_elsewhere(tmp_path, capfd):
    path = tmp_path / "v.jsonl"
    writer_of(path, 1, 2, 3, 4).close()
    lines = path.read_bytes().split(b"\n")
    lines[1] = b"\0" * 300
    path.write_bytes(b"\n".join(lines))
    writer_of(path, 4, keep_until=3).close()
    assert steps(path) == [1, 3, 4]
    aside = tmp_path / "v.jsonl.damaged"
    assert aside.read_bytes() == b"\0" * 300 + b"\n"
    assert capfd.readouterr().err == (
        f"eisbach: warning: {path}:2: 300 zero bytes; moved to {aside}\n"
    )


def test_a_step_is_written_once(tmp_path):
    path = tmp_path / "v.jsonl"
    writer_of(path, 1, 2).close()
    writer_of(path, 2, 3, keep_until=2).close()
    assert steps(path) == [1, 2, 3]


@pytest.fixture
def warnings(monkeypatch):
    found = []
    monkeypatch.setattr("eisbach.run.metrics.warn", found.append)
    return found


def test_lines_wait_for_a_disk_that_is_full(tmp_path, warnings):
    path = tmp_path / "v.jsonl"
    writer = writer_of(path, 1)
    size = path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 7, limits[1]))
    try:
        for step in (2, 3):
            writer.write(ValidationMetrics(step, 2.0, None))
        with pytest.raises(OSError, match=r"File too large: .*v\.jsonl"):
            writer.sync()
        assert path.stat().st_size == size  # no part of a line
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    writer.write(ValidationMetrics(4, 2.0, None))
    writer.sync()
    writer.close()
    assert steps(path) == [1, 2, 3, 4]
    assert warnings == [
        f"[Errno 27] File too large: '{path}': its lines wait in memory"
    ]


def test_lines_that_are_lost_are_counted(tmp_path, warnings):
    path = tmp_path / "v.jsonl"
    writer = writer_of(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3, limits[1]))
    try:
        for step in (1, 2):
            writer.write(ValidationMetrics(step, 2.0, None))
        writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert warnings[-1].endswith(f"{str(path)!r}: the last 2 lines are lost")


def test_sync_reaches_the_disk(tmp_path, monkeypatch):
    writer = writer_of(tmp_path / "v.jsonl", 1)
    synced = []
    monkeypatch.setattr(
        "os.fsync", lambda f: synced.append(os.readlink(f"/proc/self/fd/{f}"))
    )
    writer.sync()
    assert synced == [str(tmp_path / "v.jsonl")]
    writer.close()


def test_what_json_cannot_say_is_null():
    assert to_line({"a": math.nan, "b": math.inf, "c": 1.5}) == (
        '{"a": null, "b": null, "c": 1.5}\n'
    )


def test_bits_per_byte():
    assert bits_per_byte(math.log(2) * 6, 3.0) == 2.0
    assert bits_per_byte(1.0, None) is None


@pytest.mark.parametrize("how", ["unlink", "replace"])
def test_lines_are_not_written_to_a_file_that_is_gone(tmp_path, how):
    path = tmp_path / "metrics.jsonl"
    with LineWriter(path) as writer:
        writer.write(ValidationMetrics(1, 2.0, None))
        if how == "unlink":
            path.unlink()
        else:  # as an editor does
            write_atomically(path, "")
        with pytest.raises(
            LostError, match=r"metrics\.jsonl: was deleted .* 1"
        ):
            writer.write(ValidationMetrics(2, 2.0, None))
        with pytest.raises(LostError):
            writer.sync()
