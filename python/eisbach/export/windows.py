"""Which layers have a window, as `config.json` says it and as we do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eisbach.config.model import ModelSection
    from eisbach.export.described import Described

_SLIDING, _FULL = "sliding_attention", "full_attention"


def layers_with_window(model: ModelSection) -> list[bool]:
    """Returns of each layer whether it has the window."""
    every = model.window_full_every
    return [
        model.window > 0
        and i >= model.window_from
        and (every == 0 or (i + 1) % every != 0)
        for i in range(model.layers)
    ]


def layer_types(model: ModelSection) -> list[str]:
    """Returns what `config.json` calls them."""
    return [_SLIDING if own else _FULL for own in layers_with_window(model)]


def read_window(
    described: Described,
    window: int,
    default: Sequence[bool],
    *,
    usual: int = 0,
) -> dict[str, Any]:
    """Returns values of the section `model`.

    Args:
      described: Whose `layer_types`, where it has them, name each layer.
      window: Keys that a query sees; 0 for all.
      default: Which layers have it where there are no `layer_types`.
      usual: `window_full_every` where the layers allow it.
    """
    said = described.get("layer_types", None)
    if not window:
        return {}
    for kind in said or ():
        if kind not in (_SLIDING, _FULL):
            described.problem(
                f"layer_types has {kind!r}, which is not there yet; there are "
                f"{_FULL!r} and {_SLIDING!r}"
            )
            return {}
    layers = list(default) if said is None else [k == _SLIDING for k in said]
    if len(layers) != len(default):
        described.problem(
            f"layer_types has {len(layers)} values for num_hidden_layers="
            f"{len(default)}"
        )
        return {}
    if not any(layers):
        return {}
    for first in (0, layers.index(True)):
        for every in (usual, 0, *range(2, len(layers) + 1)):
            pattern = [
                i >= first and (every == 0 or (i + 1) % every != 0)
                for i in range(len(layers))
            ]
            if pattern == layers:
                return {
                    "window": window,
                    "window_from": first,
                    "window_full_every": every,
                }
    described.problem(
        "layer_types: the window is neither in all layers from one on nor in "
        "all of them but the last of each so many; other patterns are not "
        "there yet"
    )
    return {}
