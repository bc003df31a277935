import numpy as np
import pytest

from eisbach import _C


@pytest.fixture(scope="module")
def peak(world):
    return _C.measure_peak(world)


@pytest.fixture(scope="module")
def traces(world, context, make, peak):
    """Two recorded steps of a small engine."""
    engine = make.engine()
    rng = np.random.default_rng(1)
    engine.device.start_recording()
    for _ in range(2):
        _, batch = make.batch(engine, rng)
        engine.step(batch)
    return _C.gather_traces(world, peak)


def test_the_machine_is_measured(peak, world):
    assert peak.f32_flops > 0
    assert peak.bf16_flops > 0
    assert peak.bytes > 0


def test_a_step_adds_to_the_totals(make):
    engine = make.engine()
    _, batch = make.batch(engine, np.random.default_rng(1))
    before = engine.device.trace_totals()
    engine.step(batch)
    after = engine.device.trace_totals()
    assert after.matmul > before.matmul
    assert after.attention > before.attention
    assert after.other_ops > before.other_ops
    assert after.waiting == before.waiting  # one rank
    assert after.collectives == before.collectives


def test_spans_come_with_what_they_are_about(traces):
    (trace,) = traces
    assert trace.rank == 0
    assert trace.host
    assert trace.clock_offset_ns == trace.clock_error_ns == 0
    assert {span.kind for span in trace.spans} == {"step", "action", "op"}
    steps = [span for span in trace.spans if span.kind == "step"]
    assert [span.name for span in steps] == ["step 1", "step 2"]
    assert all(span.begin_ns <= span.end_ns for span in trace.spans)
    matmul = next(span for span in trace.spans if span.name == "matmul")
    assert matmul.flops > 0
    assert matmul.bytes > 0


def test_the_recording_is_over(traces, world, peak):
    (again,) = _C.gather_traces(world, peak)
    assert again.spans == []
    with pytest.raises(ValueError, match="rank 0 recorded no step"):
        _C.summarise([again], compute="f32")


def test_the_sums_are_those_of_the_spans(traces):
    (trace,) = traces
    result = _C.summarise(traces, compute="f32")
    assert result.steps == 2
    assert result.collectives == []
    calls = {row.name: row.calls for row in result.ops}
    ops = [span.name for span in trace.spans if span.kind == "op"]
    assert calls == {name: ops.count(name) for name in ops}
    shares = result.shares
    assert shares.exposed_communication == 0
    assert shares.matmul + shares.attention + shares.other == pytest.approx(1)
