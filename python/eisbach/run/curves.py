"""The loss curves of several runs over one another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eisbach.config.rules import show
from eisbach.run.comparison import RunState, changed_keys
from eisbach.run.folder import read_lines
from eisbach.run.plot import curve, limits, save, smooth, thin

# Of a name in the legend.
_MOST_LETTERS = 40


def plot_runs(path: Path, runs: Sequence[RunState]) -> None:
    """Draws smoothed training loss, and validations as points.

    Args:
      path: A `.png`; replaced if it exists.
      runs: Those without a step are left out.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    changed = changed_keys(runs)
    drawn = []
    for run in runs:
        at, loss = curve(read_lines(run.folder.metrics))
        if not len(at):
            continue
        even = smooth(loss)
        drawn.append(even)
        (line,) = axes.plot(
            *thin(at, even), linewidth=1.3, label=_label(run, changed)
        )
        checked_at, checked = curve(read_lines(run.folder.validation))
        drawn.append(checked)
        axes.plot(
            checked_at, checked, "o", markersize=4, color=line.get_color()
        )
    if shown := limits(drawn):
        axes.set_ylim(*shown)
    axes.set(
        xlabel="step",
        ylabel="loss (nats per token)",
        title="training loss, smoothed; points are validations",
    )
    axes.grid(alpha=0.3)
    if drawn:
        axes.legend(loc="upper right", fontsize="small")
    save(figure, path)


def _label(run: RunState, changed: Sequence[str]) -> str:
    """Spells what is special of a run; its name where too much is."""
    told = ", ".join(
        f"{key.partition('.')[2]}={show(run.keys[key])}"
        for key in changed
        if key in run.keys
    )
    return told if told and len(told) <= _MOST_LETTERS else run.name
