"""`eisbach schedule`: pipeline schedules in words and as pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.run.plot import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from eisbach import _C

# By kind of action and by chunk, the last one for those that follow.
_COLOURS = {
    "forward": ("#9ec5f4", "#5b94dd", "#2f66b3", "#1c447f"),
    "backward": ("#f6b98f", "#e8894a", "#c2622a", "#8a4218"),
    "backward_input": ("#f3a5a5", "#dd6b6b", "#b34343", "#7f2a2a"),
    "backward_weight": ("#a9dcb5", "#6cbb80", "#3f8f55", "#286239"),
}
_IDLE = "#e9edf2"
# Inches of an action that has its number written in.
_ROOM = 0.17
_WIDEST = 20.0


@dataclass(frozen=True)
class Drawing:
    """A schedule to tell of.

    Attributes:
      name: Of the schedule.
      microbatches: Of a step.
      run: The schedule and when each action runs.
    """

    name: str
    microbatches: int
    run: _C.TimedSchedule

    @property
    def title(self) -> str:
        """Its name and sizes."""
        return (
            f"{self.name}: {_count(len(self.run.actions), 'stage')}, "
            f"{_count(self.run.chunks, 'chunk')}, "
            f"{_count(self.microbatches, 'micro-batch')}"
        )

    @property
    def held(self) -> list[str]:
        """The most activations of each stage, in those of all its chunks."""
        return [f"{n / self.run.chunks:.4g}" for n in self.run.peak_activations]


def lines(drawing: Drawing) -> Iterator[str]:
    """Spells a schedule: lists of actions, idle time, activations."""
    run = drawing.run
    yield drawing.title
    yield from str(run).splitlines()
    yield f"time of a step: {run.seconds:.6g}"
    yield f"bubble: {100 * run.bubble:.1f}% of the stages' time"
    yield (
        "most activations at once, in micro-batches of a whole stage: "
        + ", ".join(drawing.held)
    )


def draw(path: Path, drawing: Drawing) -> None:
    """Draws a row of actions for each stage, over time.

    Args:
      path: A `.png`; replaced if it exists.
      drawing: The schedule.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    stages = drawing.run.actions
    shortest = min(
        (a.end - a.begin for row in stages for a in row if a.end > a.begin),
        default=1.0,
    )
    inches = _ROOM * drawing.run.seconds / shortest
    figure = Figure(
        figsize=(
            min(_WIDEST, max(6.0, inches)) + 1.4,
            1.1 + 0.34 * len(stages),
        ),
        dpi=100,
        layout="constrained",
    )
    axes = figure.subplots()
    _rows(axes, drawing, numbers=inches <= _WIDEST)
    kinds = {action.kind for row in stages for action in row}
    axes.legend(
        handles=[
            Patch(color=_colour(kind, chunk), label=_label(kind, chunk))
            for kind in _COLOURS
            if kind in kinds
            for chunk in range(drawing.run.chunks)
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.02),
        ncols=4 if drawing.run.chunks % 2 == 0 else 3,
        fontsize="x-small",
        frameon=False,
    )
    axes.set_title(
        f"{drawing.title}; bubble {100 * drawing.run.bubble:.1f}%",
        fontsize="small",
        loc="left",
    )
    save(figure, path)


def _rows(axes: Axes, drawing: Drawing, *, numbers: bool) -> None:
    seconds = drawing.run.seconds
    for stage, actions in enumerate(drawing.run.actions):
        axes.barh(stage, seconds, 0.8, color=_IDLE)
        axes.barh(
            [stage] * len(actions),
            [action.end - action.begin for action in actions],
            0.8,
            [action.begin for action in actions],
            color=[_colour(a.kind, a.chunk) for a in actions],
            edgecolor="white",
            linewidth=0.5,
        )
        for action in actions if numbers else ():
            axes.text(
                (action.begin + action.end) / 2,
                stage,
                str(action.microbatch),
                ha="center",
                va="center",
                fontsize=6,
                color="white" if action.chunk > 1 else "black",
            )
    count = len(drawing.run.actions)
    axes.set(xlim=(0, seconds or 1), ylim=(count - 0.5, -0.5), xticks=[])
    axes.set_yticks(
        range(count), [f"stage {stage}" for stage in range(count)], fontsize=8
    )
    held = axes.secondary_yaxis("right")
    held.set_yticks(range(count), drawing.held, fontsize=8)
    held.set_ylabel("most held at once", fontsize=7)
    held.tick_params(length=0)
    axes.tick_params(length=0)
    for frame in (axes, held):
        frame.spines[:].set_visible(False)


def _colour(kind: str, chunk: int) -> str:
    shades = _COLOURS[kind]
    return shades[min(chunk, len(shades) - 1)]


def _label(kind: str, chunk: int) -> str:
    halves = {
        "backward_input": "backward, input half",
        "backward_weight": "backward, weight half",
    }
    name = halves.get(kind, kind)
    return f"{name}, chunk {chunk}" if chunk else name


def _count(number: int, what: str) -> str:
    plural = f"{what}es" if what.endswith("ch") else f"{what}s"
    return f"{number} {what if number == 1 else plural}"
