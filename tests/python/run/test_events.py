"""Events are what TensorBoard reads, and a full disk is an error."""

import resource
import signal
import threading

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import masked_crc32c

from eisbach.run.events import EventWriter
from eisbach.run.metrics import ValidationMetrics


def events(folder):
    (path,) = folder.glob("events.out.tfevents.*")
    data = path.read_bytes()
    found = []
    while data:
        length = int.from_bytes(data[:8], "little")
        body = data[12 : 12 + length]
        for part, crc in ((data[:8], data[8:12]), (body, data[12 + length :])):
            assert masked_crc32c(part) == int.from_bytes(crc[:4], "little")
        found.append(Event.FromString(body))
        data = data[16 + length :]
    return found


def test_figures_are_scalars(tmp_path):
    writer = EventWriter(tmp_path / "tensorboard")
    writer.write(ValidationMetrics(3, 2.0, None))
    writer.close()
    version, event = events(tmp_path / "tensorboard")
    assert version.file_version == "brain.Event:2"
    assert event.step == 3
    assert [(v.tag, v.simple_value) for v in event.summary.value] == [
        ("validation/loss", 2.0)
    ]


def test_a_resumed_run_hides_later_steps(tmp_path):
    EventWriter(tmp_path, first=7).close()
    _, start = events(tmp_path)
    assert start.step == 8
    assert start.session_log.status == SessionLog.START


def test_there_is_no_thread_that_could_die(tmp_path):
    before = threading.active_count()
    writer = EventWriter(tmp_path)
    assert threading.active_count() == before
    writer.close()


def write(writer, count):
    for step in range(1, count + 1):
        writer.write(ValidationMetrics(step, 2.0, 2.9))
    writer.close()


def test_a_file_that_cannot_grow_is_an_error(tmp_path):
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
    writer = EventWriter(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write(writer, 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_files_are_not_for_everybody(tmp_path):
    EventWriter(tmp_path / "tensorboard").close()
    (path,) = (tmp_path / "tensorboard").iterdir()
    assert path.stat().st_mode & 0o137 == 0
