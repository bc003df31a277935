from types import SimpleNamespace

from eisbach.run.trace import chrome_trace


def span(kind, name, begin, end, **facts):
    facts = {"detail": "", "flops": 0, "bytes": 0, "index": -1, **facts}
    return SimpleNamespace(
        kind=kind, name=name, begin_ns=begin, end_ns=end, **facts
    )


def trace(rank, *spans):
    return SimpleNamespace(rank=rank, host="box", spans=list(spans))


TRACES = [
    trace(
        0,
        span("step", "step 3", 1000, 9000, index=3),
        span("action", "F1", 1000, 4000, detail="forward", index=1),
        span("op", "matmul", 2000, 3000, flops=5000, bytes=2000),
        span("collective", "all_reduce", 4000, 6000, detail="data", bytes=64),
        span("collective", "exchange", 4500, 7000, detail="pipeline"),
        span("wait", "all_reduce", 5000, 6000, detail="data"),
    ),
    trace(1, span("step", "step 3", 1500, 8000, index=3)),
]


def events(phase):
    return [e for e in chrome_trace(TRACES)["traceEvents"] if e["ph"] == phase]


def test_times_are_microseconds_since_the_first_span():
    found = {(e["pid"], e["name"]): (e["ts"], e["dur"]) for e in events("X")}
    assert found[0, "step 3"] == (0, 8)
    assert found[1, "step 3"] == (0.5, 6.5)
    assert found[0, "matmul"] == (1, 1)


def test_ranks_and_rows_have_names():
    names = {
        (e["pid"], e["tid"]): e["args"]["name"]
        for e in events("M")
        if e["name"] == "thread_name"
    }
    rows = {(e["pid"], names[e["pid"], e["tid"]]) for e in events("X")}
    assert rows == {
        (0, "schedule"),
        (0, "compute"),
        (0, "communication: data"),
        (0, "communication: pipeline"),
        (1, "schedule"),
    }
    ranks = [e["args"] for e in events("M") if e["name"] == "process_name"]
    assert ranks == [{"name": "rank 0 on box"}, {"name": "rank 1 on box"}]


def test_a_span_tells_its_facts():
    facts = {e["name"]: e["args"] for e in events("X") if e["pid"] == 0}
    assert facts["matmul"] == {
        "flops": 5000,
        "bytes": 2000,
        "GFLOP/s": 5.0,
        "GB/s": 2.0,
    }
    assert facts["all_reduce"] == {"group": "data", "bytes": 64}
    assert facts["wait for all_reduce"] == {"group": "data"}
    assert facts["F1"] == {"does": "forward", "micro_batch": 1}
    assert facts["step 3"] == {"step": 3}


def test_no_spans_make_an_empty_trace():
    assert not [
        e for e in chrome_trace([trace(0)])["traceEvents"] if e["ph"] == "X"
    ]
