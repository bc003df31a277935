import json
from collections import defaultdict

import pytest

from eisbach.planning.trace import trace


@pytest.fixture(scope="module")
def events(piped):
    return json.loads(json.dumps(trace(piped)))["traceEvents"]


def test_stages_do_what_the_timeline_has(events, piped):
    timeline = piped.timeline
    rows = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            rows[event["pid"], event["tid"]].append(event)
    for stage, spans in enumerate(timeline.stages):
        drawn = sorted(
            rows[stage, 0] + rows[stage, 1], key=lambda event: event["ts"]
        )
        assert [event["ts"] for event in drawn] == pytest.approx(
            [span.begin * 1e6 for span in spans]
        )
        assert sum(event["dur"] for event in drawn) == pytest.approx(
            sum(span.end - span.begin for span in spans) * 1e6
        )
        assert {event["name"] for event in rows[stage, 1]} == {"exchange"}
    last = max(e["ts"] + e["dur"] for e in rows[0, 0] + rows[1, 0])
    assert last == pytest.approx(timeline.seconds * 1e6)


def test_streams_have_rows_of_ops_and_collectives(events, piped):
    first = len(piped.timeline.stages)
    names = {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in events
        if event["name"] == "thread_name" and event["pid"] >= first
    }
    assert len({pid for pid, _ in names}) == len(piped.timeline.streams) == 2
    assert names[first, 0].startswith("compute")
    assert any("data" in name for name in names.values())
    kinds = defaultdict(int)
    for event in events:
        if event["ph"] == "X" and event["pid"] >= first:
            assert event["ts"] >= 0
            kinds[event["cat"]] += 1
    assert kinds["op"] > 50
    assert kinds["collective"] > 4


def test_it_says_how_much_of_a_step_it_is(events, piped):
    assert piped.timeline.shown < piped.timeline.micro_batches
    name = next(
        e["args"]["name"] for e in events if e["name"] == "process_name"
    )
    assert name == (
        f"stage 0, {piped.timeline.shown} of "
        f"{piped.timeline.micro_batches} micro-batches"
    )
