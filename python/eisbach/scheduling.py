"""`eisbach schedule`: pipeline schedules in words and as pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.run.plot import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    from eisbach import _C

    Action = _C.TimedAction | _C.StageSpan

# By kind of action and by chunk, the last one for those that follow.
_COLOURS = {
    "forward": ("#9ec5f4", "#5b94dd", "#2f66b3", "#1c447f"),
    "backward": ("#f6b98f", "#e8894a", "#c2622a", "#8a4218"),
    "backward_input": ("#f3a5a5", "#dd6b6b", "#b34343", "#7f2a2a"),
    "backward_weight": ("#a9dcb5", "#6cbb80", "#3f8f55", "#286239"),
}
IDLE = "#e9edf2"
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
    stages = drawing.run.actions
    figure, axes, numbers = sheet(stages, drawing.run.seconds)
    bars(axes, stages, drawing.run.seconds, numbers=numbers)
    held = axes.secondary_yaxis("right")
    held.set_yticks(range(len(stages)), drawing.held, fontsize=8)
    held.set_ylabel("most held at once", fontsize=7)
    held.tick_params(length=0)
    held.spines[:].set_visible(False)
    legend(
        axes,
        patches(stages, drawing.run.chunks),
        columns=4 if drawing.run.chunks % 2 == 0 else 3,
    )
    title = f"{drawing.title}; bubble {100 * drawing.run.bubble:.1f}%"
    axes.set_title(title, fontsize="small", loc="left")
    save(figure, path)


def sheet(
    stages: Sequence[Sequence[Action]], seconds: float
) -> tuple[Figure, Axes, bool]:
    """Makes a figure with room for a row of actions a stage.

    Returns:
      The figure, its axes, and whether actions have room for their numbers.
    """
    from matplotlib.figure import Figure

    shortest = min(
        (a.end - a.begin for row in stages for a in row if a.end > a.begin),
        default=1.0,
    )
    inches = _ROOM * seconds / shortest
    figure = Figure(
        figsize=(
            min(_WIDEST, max(6.0, inches)) + 1.4,
            1.1 + 0.34 * len(stages),
        ),
        dpi=100,
        layout="constrained",
    )
    return figure, figure.subplots(), inches <= _WIDEST


def bars(
    axes: Axes,
    stages: Sequence[Sequence[Action]],
    seconds: float,
    *,
    numbers: bool,
) -> None:
    """Draws the actions of each stage in its row, idle time between them.

    Args:
      axes: Of a `sheet`.
      stages: The actions of each.
      seconds: Of all.
      numbers: Whether micro-batches are written in.
    """
    for stage, actions in enumerate(stages):
        axes.barh(stage, seconds, 0.8, color=IDLE)
        axes.barh(
            [stage] * len(actions),
            [action.end - action.begin for action in actions],
            0.8,
            [action.begin for action in actions],
            color=[colour(a.kind, a.chunk) for a in actions],
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
    count = len(stages)
    axes.set(xlim=(0, seconds or 1), ylim=(count - 0.5, -0.5), xticks=[])
    axes.set_yticks(
        range(count), [f"stage {stage}" for stage in range(count)], fontsize=8
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def patches(stages: Sequence[Sequence[Action]], chunks: int) -> list[Patch]:
    """What a legend says of actions."""
    from matplotlib.patches import Patch

    kinds = {action.kind for row in stages for action in row}
    return [
        Patch(color=colour(kind, chunk), label=_label(kind, chunk, chunks))
        for kind in _COLOURS
        if kind in kinds
        for chunk in range(min(chunks, len(_COLOURS[kind])))
    ]


def legend(axes: Axes, handles: Sequence[Patch], *, columns: int) -> None:
    """Puts a legend below."""
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.02),
        ncols=columns,
        fontsize="x-small",
        frameon=False,
    )


def colour(kind: str, chunk: int) -> str:
    """The colour of a kind of action of a chunk."""
    shades = _COLOURS[kind]
    return shades[min(chunk, len(shades) - 1)]


def _label(kind: str, chunk: int, chunks: int) -> str:
    halves = {
        "backward_input": "backward, input half",
        "backward_weight": "backward, weight half",
    }
    name = halves.get(kind, kind)
    if chunk == 0:
        return name
    # The last colour is that of all that follow.
    others = chunks > chunk + 1 == len(_COLOURS[kind])
    return f"{name}, chunk {chunk}{' and on' if others else ''}"


def _count(number: int, what: str) -> str:
    plural = f"{what}es" if what.endswith("ch") else f"{what}s"
    return f"{number} {what if number == 1 else plural}"
