import pytest

from eisbach import _C


def test_a_schedule_is_timed():
    run = _C.simulate_schedule("1f1b", stages=2, microbatches=3)
    assert run.chunks == 1
    assert run.seconds == 3 * (3 + 1)
    assert run.bubble == pytest.approx(1 / 4)
    assert run.peak_activations == [2, 1]
    assert str(run).splitlines()[1].startswith("stage 1: {a0<0}")
    first = run.actions[0]
    assert [a.kind for a in first[:3]] == ["forward", "forward", "backward"]
    assert [a.microbatch for a in first[:3]] == [0, 1, 0]
    assert (first[2].begin, first[2].end) == (4, 6)
    assert all(a.chunk == 0 for a in first)


def test_times_are_those_of_a_whole_stage():
    run = _C.simulate_schedule(
        "zero_bubble",
        stages=4,
        microbatches=8,
        chunks=2,
        forward=2,
        backward_input=2,
        backward_weight=2,
    )
    assert run.seconds == pytest.approx(8 * 6 + 2 * 3 / 2)
    assert {a.chunk for a in run.actions[0]} == {0, 1}


def test_each_chunk_may_have_times_of_its_own():
    run = _C.simulate_schedule(
        "zb_v",
        stages=1,
        microbatches=2,
        chunk_times=[(1.0, 5.0, 2.0, 3.0), (10.0, 50.0, 20.0, 30.0)],
    )
    assert run.seconds == 2 * (6 + 60)
    with pytest.raises(ValueError, match="times for 3 chunks, not 2"):
        _C.simulate_schedule(
            "zb_v",
            stages=1,
            microbatches=2,
            chunk_times=[(1.0, 5.0, 2.0, 3.0)] * 3,
        )


def test_whole_backwards_have_a_time_beside_their_halves():
    # Of dual_pipe_v's backwards some are halved.
    def seconds(backward: float) -> float:
        return _C.simulate_schedule(
            "dual_pipe_v",
            stages=2,
            microbatches=4,
            chunk_times=[(1.0, backward, 1.0, 1.0)] * 4,
        ).seconds

    assert seconds(2.0) < seconds(3.0)


def test_the_fewest_chunks_are_taken():
    chunks = {
        name: _C.simulate_schedule(name, stages=2, microbatches=4).chunks
        for name in _C.schedule_names()
    }
    assert chunks == {
        "1f1b": 1,
        "dual_pipe_v": 2,
        "gpipe": 1,
        "interleaved": 2,
        "zb_v": 2,
        "zero_bubble": 1,
    }


def test_what_does_not_fit_is_refused():
    for words, arguments in [
        ("is not one of 1f1b", {"name": "2f2b"}),
        ("nearest that works: 2", {"name": "zb_v", "chunks": 3}),
        ("at least 1 of stages", {"stages": 0}),
        ("of a forward is -1", {"forward": -1.0}),
    ]:
        known = {"name": "1f1b", "stages": 2, "microbatches": 4}
        with pytest.raises(ValueError, match=words):
            _C.simulate_schedule(**{**known, **arguments})
