"""What the stages of a pipeline did, read from a run's `trace.json`."""

import dataclasses
import json
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

COMPUTE = re.compile(r"([FBIW])\d+(?:\.(\d+))?$")
TRANSFER = re.compile(r"[ag][\d.]+([<>])(\d+)")


@dataclasses.dataclass(frozen=True)
class Slot:
    """A forward or backward, or a half of one; times are seconds."""

    kind: str  # F, B, I or W
    chunk: int
    begin: float
    end: float
    waited: float  # for others, at its begin

    @property
    def seconds(self) -> float:
        """Of work."""
        return self.end - self.begin - self.waited


@dataclasses.dataclass(frozen=True)
class Exchange:
    """Transfers of one call."""

    transfers: list[tuple[str, int]]  # < or >, the other stage
    given: float  # when the stage's list reached it
    over: float


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage in one step."""

    slots: list[Slot]
    exchanges: list[Exchange]


@dataclasses.dataclass(frozen=True)
class Step:
    """All stages in one step."""

    stages: list[Stage]

    @property
    def seconds(self) -> float:
        """From the first forward to the end of the last backward."""
        slots = [slot for stage in self.stages for slot in stage.slots]
        begin = min(slot.begin + slot.waited for slot in slots)
        return max(slot.end for slot in slots) - begin

    @property
    def bubble(self) -> float:
        """Share of the stages' time in which they compute nothing."""
        work = sum(slot.seconds for one in self.stages for slot in one.slots)
        return 1 - work / self.seconds / len(self.stages)


def read_trace(path: Path, stages: int) -> list[Step]:
    """The steps of a trace; rank r is stage r."""
    events = json.loads(path.read_text())["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    of_stages = [
        list(_steps([span for span in spans if span["pid"] == stage]))
        for stage in range(stages)
    ]
    return [Step(list(step)) for step in zip(*of_stages, strict=True)]


def _steps(spans: list[dict]) -> Iterator[Stage]:
    """What a rank did in each step."""
    kinds = defaultdict(list)
    for span in sorted(spans, key=lambda span: span["ts"]):
        kinds[span["cat"]].append(span)
    calls = (s for s in kinds["collective"] if s["name"] == "exchange")
    for step in kinds["step"]:
        stage = Stage([], [])
        for action in _inside(step, kinds["action"]):
            begin, end = action["ts"] / 1e6, _end(action) / 1e6
            if transfers := TRANSFER.findall(action["name"]):
                listed = [(sign, int(peer)) for sign, peer in transfers]
                over = _end(next(calls)) / 1e6
                stage.exchanges.append(Exchange(listed, begin, over))
            elif match := COMPUTE.match(action["name"]):
                waits = _inside(action, kinds["wait"])
                waited = sum(wait["dur"] for wait in waits) / 1e6
                chunk = int(match[2] or 0)
                stage.slots.append(Slot(match[1], chunk, begin, end, waited))
        yield stage


def _end(span: dict) -> float:
    return span["ts"] + span["dur"]


def _inside(around: dict, spans: list[dict]) -> list[dict]:
    return [s for s in spans if around["ts"] <= s["ts"] < _end(around)]


def chunk_times(
    steps: list[Step], chunks: int
) -> list[tuple[float, float, float, float]]:
    """Medians of each chunk of each stage.

    Of a forward, a whole backward, and its halves; 0: there is none.
    """

    def median(stage: int, chunk: int, kind: str) -> float:
        found = [
            slot.seconds
            for step in steps
            for slot in step.stages[stage].slots
            if slot.chunk == chunk and slot.kind == kind
        ]
        return statistics.median(found) if found else 0.0

    return [
        tuple(median(stage, chunk, kind) for kind in "FBIW")
        for stage in range(len(steps[0].stages))
        for chunk in range(chunks)
    ]


def transfer_times(step: Step) -> list[float]:
    """What each transfer took from when both stages had begun with it.

    What a stage sends to another is received in the same order.
    """
    sends, receives = defaultdict(list), defaultdict(list)
    for number, stage in enumerate(step.stages):
        free = 0.0
        for exchange in stage.exchanges:
            begin = max(free, exchange.given)
            free = exchange.over
            for sign, peer in exchange.transfers:
                if sign == ">":
                    sends[number, peer].append(begin)
                else:
                    receives[peer, number].append((begin, exchange.over))
    return [
        over - max(sent, begun)
        for way, begins in sends.items()
        for sent, (begun, over) in zip(begins, receives[way], strict=True)
    ]
