"""The loss curve as a picture.

As a program it draws the picture of a run folder: `python -m
eisbach.run.plot FOLDER`.
"""

from __future__ import annotations

import math
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach.files import create

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from eisbach.run.folder import RunFolder

# Points of a curve; a picture has not many more columns.
_MOST_POINTS = 2000
# Of all steps: so many at first do not decide how tall the picture is.
_FIRST_SHARE = 0.2
# Of a curve: with fewer points all is shown.
_FEW = 20
# Of all steps: over so many a loss is smoothed.
_SMOOTH_SHARE = 0.02


def curve(
    lines: Sequence[dict[str, Any]], name: str = "loss"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns steps and values, without those that are not known."""
    known = [
        (line["step"], line[name])
        for line in lines
        if line.get(name) is not None
    ]
    points = np.array(known, np.float64).reshape(-1, 2)
    return points[:, 0], points[:, 1]


def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns means in which a value counts less the longer it is ago.

    At first, where a loss falls steeply, they reach back less far.
    """
    window = max(1.0, len(values) * _SMOOTH_SHARE)
    result = np.empty_like(values)
    mean = 0.0
    for i, value in enumerate(values):
        mean += (value - mean) / min(window, 1 + 0.1 * i)
        result[i] = mean
    return result


def thin(
    steps: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Leaves so many points that a picture can show; the last one stays."""
    stride = -(-len(steps) // _MOST_POINTS)
    if stride <= 1:
        return steps, values
    last = (len(steps) - 1) % stride
    return steps[last::stride], values[last::stride]


def limits(
    curves: Sequence[NDArray[np.float64]],
) -> tuple[float, float] | None:
    """Returns the lowest and highest loss to show; None shows all.

    The fall of the first steps would press what follows into a line.
    """
    if not any(len(c) >= _FEW for c in curves):
        return None
    settled = [c[int(len(c) * _FIRST_SHARE) :] for c in curves if len(c)]
    low = min(float(c.min()) for c in settled)
    high = max(float(c.max()) for c in settled)
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return None
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def save(figure: Figure, path: Path) -> None:
    """Replaces a picture; who looks at it sees the old or the new one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(create(scratch), "wb") as stream:
            FigureCanvasAgg(figure).print_png(stream)
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def plot_loss(
    path: Path,
    steps: list[dict[str, Any]],
    validations: list[dict[str, Any]],
    *,
    title: str,
) -> None:
    """Draws loss, smoothed loss, validations and learning rate over steps.

    Args:
      path: A `.png`; replaced if it exists.
      steps: Lines of `metrics.jsonl`.
      validations: Lines of `validation.jsonl`; where they tell bits per byte
        there is a scale for them.
      title: Shown above.
    """
    # The object interface: pyplot would ask for a display and keep state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), dpi=120, layout="constrained")
    top, below = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1]}
    )
    at, loss = curve(steps)
    even = smooth(loss)
    top.plot(*thin(at, loss), color="tab:blue", alpha=0.35, linewidth=0.8)
    top.plot(
        *thin(at, even),
        "-" if len(at) > 1 else ".",
        color="tab:blue",
        linewidth=1.5,
        label=f"training, smoothed; from {loss[0]:.3g}"
        if len(loss)
        else "training",
    )
    checked_at, checked = curve(validations)
    if len(checked):
        top.plot(
            checked_at,
            checked,
            "o-",
            color="tab:orange",
            markersize=4,
            label="validation",
        )
    if shown := limits([even, checked]):
        top.set_ylim(*shown)
    top.grid(alpha=0.3)
    top.set(ylabel="loss (nats per token)", title=title)
    top.legend(loc="upper right")
    _add_bits(top, validations)
    below.plot(*thin(*curve(steps, "learning_rate")), color="tab:green")
    below.set(xlabel="step", ylabel="learning rate", ylim=(0, None))
    below.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    below.grid(alpha=0.3)
    save(figure, path)


def _add_bits(axes: Axes, validations: list[dict[str, Any]]) -> None:
    """Adds a scale of bits per byte on the right."""
    known = [v for v in validations if v.get("bits_per_byte") and v.get("loss")]
    if not known:
        return
    bits = known[-1]["bits_per_byte"] / known[-1]["loss"]
    right = axes.secondary_yaxis(
        "right", functions=(lambda y: y * bits, lambda y: y / bits)
    )
    right.set_ylabel("bits per byte")


def plot_folder(folder: RunFolder) -> None:
    """Draws `loss.png` of a run folder; nothing without a step."""
    from eisbach.run.folder import read_lines

    if steps := read_lines(folder.metrics):
        plot_loss(
            folder.plot,
            steps,
            read_lines(folder.validation),
            title=folder.path.name,
        )


if __name__ == "__main__":
    from eisbach.run.aside import step_back
    from eisbach.run.folder import RunFolder

    step_back()
    plot_folder(RunFolder(sys.argv[1]))
