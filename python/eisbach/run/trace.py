"""Spans of all ranks as a Chrome trace, which Perfetto reads too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eisbach import _C

_SCHEDULE, _COMPUTE, _COMMUNICATION = 0, 1, 2
_ROWS = {"step": _SCHEDULE, "action": _SCHEDULE}


def chrome_trace(traces: list[_C.RankTrace]) -> dict[str, Any]:
    """Returns the JSON object of a trace: a process a rank, rows inside.

    A rank has a row for steps and schedule slots, one for ops and waits, and
    one for each group's collectives, of which several may run at once. Times
    are microseconds since the first span of any rank.

    Args:
      traces: Of all ranks, on one clock.
    """
    begins = [trace.spans[0].begin_ns for trace in traces if trace.spans]
    start = min(begins, default=0)
    events = [event for one in traces for event in _rank(one, start)]
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _rank(trace: _C.RankTrace, start: int) -> Iterator[dict[str, Any]]:
    groups = sorted(
        {span.detail for span in trace.spans if span.kind == "collective"}
    )
    tids = {group: _COMMUNICATION + i for i, group in enumerate(groups)}
    rows = {
        _SCHEDULE: "schedule",
        _COMPUTE: "compute",
        **{tid: f"communication: {group}" for group, tid in tids.items()},
    }
    label = f"rank {trace.rank} on {trace.host}"
    yield about(trace.rank, 0, "process_name", name=label)
    yield about(trace.rank, 0, "process_sort_index", sort_index=trace.rank)
    for tid, name in rows.items():
        yield about(trace.rank, tid, "thread_name", name=name)
        yield about(trace.rank, tid, "thread_sort_index", sort_index=tid)
    for span in trace.spans:
        tid = _ROWS.get(span.kind, _COMPUTE)
        if span.kind == "collective":
            tid = tids[span.detail]
        yield {
            "ph": "X",
            "pid": trace.rank,
            "tid": tid,
            "name": _name(span),
            "cat": span.kind,
            "ts": (span.begin_ns - start) / 1e3,
            "dur": (span.end_ns - span.begin_ns) / 1e3,
            "args": _facts(span),
        }


def about(pid: int, tid: int, what: str, **args: Any) -> dict[str, Any]:
    """An event that names or orders a process or a row of it."""
    return {"ph": "M", "pid": pid, "tid": tid, "name": what, "args": args}


def _name(span: _C.Span) -> str:
    return f"wait for {span.name}" if span.kind == "wait" else span.name


def _facts(span: _C.Span) -> dict[str, Any]:
    """What a click on a span tells."""
    if span.kind == "op":
        seconds = max(span.end_ns - span.begin_ns, 1) * 1e-9
        return {
            "flops": span.flops,
            "bytes": span.bytes,
            "GFLOP/s": round(span.flops / seconds / 1e9, 3),
            "GB/s": round(span.bytes / seconds / 1e9, 3),
        }
    if span.kind == "collective":
        return {"group": span.detail, "bytes": span.bytes}
    if span.kind == "wait":
        return {"group": span.detail}
    if span.kind == "action":
        return {"does": span.detail, "micro_batch": span.index}
    return {"step": span.index}
