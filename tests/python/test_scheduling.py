import struct

import pytest

from eisbach import _C
from eisbach.scheduling import Drawing, draw, lines


def drawing(name, stages, microbatches, **others):
    run = _C.simulate_schedule(
        name, stages=stages, microbatches=microbatches, **others
    )
    return Drawing(name, microbatches, run)


def test_a_schedule_is_told():
    told = list(lines(drawing("interleaved", 4, 8, forward=2)))
    assert told[0] == "interleaved: 4 stages, 2 chunks, 8 micro-batches"
    assert told[1].startswith("stage 0: F0 {a0>1} F1")
    assert told[5] == "time of a step: 38"
    assert told[6] == "bubble: 15.8% of the stages' time"
    assert told[7].endswith(": 5.5, 4.5, 3.5, 2.5")
    assert len(told) == 8


def test_one_is_no_plural():
    assert (
        drawing("gpipe", 1, 1).title == "gpipe: 1 stage, 1 chunk, 1 micro-batch"
    )


def size(path):
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    return struct.unpack(">II", head[16:24])


@pytest.mark.parametrize("name", _C.schedule_names())
def test_every_schedule_is_drawn(name, tmp_path):
    path = tmp_path / "a.png"
    draw(path, drawing(name, 4, 8))
    width, height = size(path)
    assert height < width < 2400


def test_a_long_step_has_room_and_one_without_time_is_drawn(tmp_path):
    path = tmp_path / "a.png"
    draw(path, drawing("zero_bubble", 8, 64, chunks=4))
    assert size(path)[0] < 2400
    draw(
        path,
        drawing("1f1b", 2, 2, forward=0, backward_input=0, backward_weight=0),
    )
