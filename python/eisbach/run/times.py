"""Where the time of steps goes, in four parts that leave nothing out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eisbach import _C

PARTS = ("matmul", "attention", "other", "exposed_communication")


def unknown_times() -> dict[str, None]:
    """Returns the parts of a step on a device that does not tell (a GPU)."""
    return dict.fromkeys(f"{part}_seconds" for part in PARTS)


def step_times(
    before: _C.TraceTotals, after: _C.TraceTotals, seconds: float
) -> dict[str, float]:
    """Returns the seconds of each part, as `StepMetrics` names them.

    Args:
      before: The device's totals before the step.
      after: Those after it.
      seconds: Wall time of the step.
    """
    matmul = after.matmul - before.matmul
    attention = after.attention - before.attention
    exposed = after.waiting - before.waiting
    other = max(0.0, seconds - matmul - attention - exposed)
    return {
        "matmul_seconds": matmul,
        "attention_seconds": attention,
        "exposed_communication_seconds": exposed,
        "other_seconds": other,
    }


def shares(steps: list[dict[str, Any]]) -> dict[str, float]:
    """Returns the share of each part in the time of all steps.

    Args:
      steps: Lines of `metrics.jsonl`; those of a device that does not tell
        are left out.
    """
    steps = [s for s in steps if s.get("matmul_seconds") is not None]
    seconds = sum(step["step_seconds"] for step in steps)
    if not seconds:
        return dict.fromkeys(PARTS, 0.0)
    return {
        part: sum(step[f"{part}_seconds"] for step in steps) / seconds
        for part in PARTS
    }


def spell(parts: dict[str, float]) -> str:
    """Spells shares in a line, as in `time in steps: matmul 71 %, ...`."""
    if not any(parts.values()):
        return "time in steps: not known on this device"
    told = [f"{p.replace('_', ' ')} {parts[p]:.0%}" for p in PARTS]
    return f"time in steps: {', '.join(told)}".replace("%", " %")
