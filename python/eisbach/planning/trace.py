"""A step of the best layout as a Chrome trace, which Perfetto reads too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from eisbach.estimating import spans as spell_ranks
from eisbach.planning.make import Plan
from eisbach.run.trace import about

if TYPE_CHECKING:
    from eisbach import _C

_SCHEDULE, _EXCHANGES = 0, 1


def trace(plan: Plan) -> dict[str, Any]:
    """Returns the JSON object of a trace.

    Each stage is a process with a row for its actions and one for exchanges
    with other stages. Stages that are alike share another process, which has
    their streams in a step of few micro-batches: ops, and a row for the
    collectives of each stream. Times are microseconds.

    Args:
      plan: One in which something fits.
    """
    timeline = plan.timeline
    events = [
        event
        for stage, spans in enumerate(timeline.stages)
        for event in _stage(stage, spans, timeline)
    ]
    first = len(timeline.stages)
    for number, streams in enumerate(timeline.streams):
        events.extend(_streams(first + number, streams))
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {
            "micro_batches": timeline.micro_batches,
            "shown": timeline.shown,
            "step_seconds": timeline.step_seconds,
        },
    }


def _stage(
    stage: int, spans: list[_C.StageSpan], timeline: _C.Timeline
) -> Iterator[dict[str, Any]]:
    part = ""
    if timeline.shown < timeline.micro_batches:
        part = f", {timeline.shown} of {timeline.micro_batches} micro-batches"
    yield about(stage, 0, "process_name", name=f"stage {stage}{part}")
    yield about(stage, 0, "process_sort_index", sort_index=stage)
    yield about(stage, _SCHEDULE, "thread_name", name="schedule")
    yield about(stage, _EXCHANGES, "thread_name", name="exchanges")
    for span in spans:
        exchange = span.kind == "exchange"
        args: dict[str, Any] = {}
        name = span.kind
        if not exchange and span.kind != "once":
            args = {"micro_batch": span.microbatch, "chunk": span.chunk}
            name = f"{span.kind} {span.microbatch}"
        if not exchange:
            args["communication_us"] = span.communication * 1e6
        yield {
            "ph": "X",
            "pid": stage,
            "tid": _EXCHANGES if exchange else _SCHEDULE,
            "name": name,
            "cat": span.kind,
            "ts": span.begin * 1e6,
            "dur": (span.end - span.begin) * 1e6,
            "args": args,
        }


def _streams(pid: int, streams: _C.StreamTimeline) -> Iterator[dict[str, Any]]:
    alike = spell_ranks(streams.stages)
    stages = "stage" if len(streams.stages) == 1 else "each of stages"
    label = (
        f"streams of {stages} {alike}, {streams.micro_batches} micro-batches"
    )
    yield about(pid, 0, "process_name", name=label)
    yield about(pid, 0, "process_sort_index", sort_index=pid)
    groups: dict[int, list[str]] = {}
    for span in streams.spans:
        known = groups.setdefault(span.stream, [])
        if span.group and span.group not in known:
            known.append(span.group)
    for stream, names in sorted(groups.items()):
        name = "compute" if stream == 0 else f"stream {stream}"
        if names:
            name += f": {', '.join(names)}"
        yield about(pid, stream, "thread_name", name=name)
        yield about(pid, stream, "thread_sort_index", sort_index=stream)
    for span in streams.spans:
        args: dict[str, Any] = {"bytes": span.bytes}
        if span.group:
            args["group"] = span.group
        else:
            args["flops"] = span.flops
        yield {
            "ph": "X",
            "pid": pid,
            "tid": span.stream,
            "name": span.name,
            "cat": "collective" if span.group else "op",
            "ts": span.begin * 1e6,
            "dur": (span.end - span.begin) * 1e6,
            "args": args,
        }
