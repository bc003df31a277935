"""The loss curve as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def plot_loss(
    path: Path,
    steps: list[dict[str, Any]],
    validations: list[dict[str, Any]],
    *,
    title: str,
) -> None:
    """Draws loss over steps.

    Args:
      path: A `.png`; replaced if it exists.
      steps: Lines of `metrics.jsonl`.
      validations: Lines of `validation.jsonl`.
      title: Shown above.
    """
    # The object interface: pyplot would ask for a display and keep state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    known = [line for line in steps if line["loss"] is not None]
    axes.plot(
        [line["step"] for line in known],
        [line["loss"] for line in known],
        linewidth=1,
        label="training",
    )
    if validations:
        axes.plot(
            [line["step"] for line in validations],
            [line["loss"] for line in validations],
            "o-",
            markersize=4,
            label="validation",
        )
    axes.set(xlabel="step", ylabel="loss (nats per token)", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    FigureCanvasAgg(figure).print_png(str(path))
