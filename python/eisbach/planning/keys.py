"""A layout as what a configuration says, for a command line and for a file."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from eisbach.planning.make import CHOSEN, Plan, value_of

if TYPE_CHECKING:
    from eisbach import _C

_GOES_ON = " \\"


def chosen(plan: Plan, candidate: _C.Candidate) -> dict[str, Any]:
    """Returns the keys of a layout and their values.

    What means nothing beside the others is left out, but where the plan's
    configuration has its own value of it.
    """
    layout = candidate.layout
    idle = set()
    if layout.pipeline == 1:
        idle |= {"schedule", "chunks"}
    if layout.recompute == "none":
        idle |= {"recompute_layers"}
    return {
        key: getattr(layout, name)
        for name, key in CHOSEN.items()
        if name not in idle or value_of(plan.config, key) != _default(plan, key)
    }


def _default(plan: Plan, key: str) -> Any:
    section, name = key.split(".")
    return type(getattr(plan.config, section)).model_fields[name].default


def arguments(plan: Plan, candidate: _C.Candidate) -> list[str]:
    """Spells them as `eisbach train` takes them behind those of the plan."""
    return [f"{key}={value}" for key, value in chosen(plan, candidate).items()]


def argument_lines(
    plan: Plan, candidate: _C.Candidate, width: int = 80
) -> Iterator[str]:
    """The same in lines that a shell reads as one."""
    lines = textwrap.wrap(
        " ".join(arguments(plan, candidate)),
        width - len(_GOES_ON),
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from (f"{line}{_GOES_ON}" for line in lines[:-1])
    yield lines[-1]


def fragment(plan: Plan, candidate: _C.Candidate) -> Iterator[str]:
    """Spells them as YAML: what stands in a file below its `base`."""
    sections: dict[str, dict[str, Any]] = {}
    for key, value in chosen(plan, candidate).items():
        section, name = key.split(".")
        sections.setdefault(section, {})[name] = value
    for section, keys in sections.items():
        yield f"{section}:"
        yield from (f"  {name}: {value}" for name, value in keys.items())
    if candidate.layout.expert:
        yield (
            f"# expert: {candidate.layout.expert}, which training does not "
            "have yet"
        )
