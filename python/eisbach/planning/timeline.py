"""A step of the best layout as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.planning import words
from eisbach.planning.make import Plan
from eisbach.run.plot import save
from eisbach.scheduling import IDLE, bars, legend, patches, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from eisbach import _C

ACTIONS = ("forward", "backward", "backward_input", "backward_weight")
_ONCE = "#b3a2dc"
_COMMUNICATION = "#2b2f36"
_EXCHANGE = "#7a8594"


def title(plan: Plan) -> str:
    """What is drawn, and how much of a step it is."""
    layout, timeline = plan.best.layout, plan.timeline
    shown, count = timeline.shown, timeline.micro_batches
    part = f"{count:,} micro-batch{'es' if count > 1 else ''}"
    if shown < count:
        part = f"{shown:,} of {part}: the others repeat the middle"
    name = "one stage"
    if layout.pipeline > 1:
        name = f"{layout.pipeline} stages, {words.schedule(layout)}"
    return f"{words.layout(layout)}: {name}; {part}"


def draw(path: Path, plan: Plan) -> None:
    """Draws when each stage does what in a step of the best layout.

    Args:
      path: A `.png`; replaced if it exists.
      plan: One in which something fits.
    """
    from matplotlib.patches import Patch

    timeline = plan.timeline
    actions = [
        [span for span in spans if span.kind in ACTIONS]
        for spans in timeline.stages
    ]
    figure, axes, numbers = sheet(actions, timeline.seconds)
    bars(axes, actions, timeline.seconds, numbers=numbers)
    for stage, spans in enumerate(timeline.stages):
        _beside(axes, stage, spans)
    seconds = f"{words.seconds(timeline.step_seconds)} s a step"
    if timeline.shown < timeline.micro_batches:
        seconds += f", {words.seconds(timeline.seconds)} s of it drawn"
    axes.set_title(f"{title(plan)}\n{seconds}", fontsize="small", loc="left")
    handles = [
        *patches(actions, timeline.chunks),
        Patch(color=_ONCE, label="sums, norm, update"),
        Patch(color=_COMMUNICATION, label="of it, communication"),
    ]
    if len(timeline.stages) > 1:
        handles.append(Patch(color=IDLE, label="waiting for other stages"))
    if any(span.kind == "exchange" for row in timeline.stages for span in row):
        handles.append(Patch(color=_EXCHANGE, label="exchange, beside it"))
    legend(axes, handles, columns=4)
    save(figure, path)


def _beside(axes: Axes, stage: int, spans: list[_C.StageSpan]) -> None:
    """Adds what is done once, and communication, to a stage's row."""
    for span in spans:
        length = span.end - span.begin
        if span.kind == "once":
            axes.barh(stage, length, 0.8, span.begin, color=_ONCE)
        if span.kind == "exchange":
            axes.barh(stage + 0.45, length, 0.08, span.begin, color=_EXCHANGE)
        elif span.communication:
            axes.barh(
                stage + 0.34,
                span.communication,
                0.12,
                span.end - span.communication,
                color=_COMMUNICATION,
            )
