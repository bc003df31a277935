"""Models that are composed in Python out of the core's layers.

The layers are those of the core: each is made from a name and sizes, owns its
parameters, and is called with a ForwardContext. A Module puts them together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eisbach import _C

Attention = _C.nn.Attention
Block = _C.nn.Block
Dropout = _C.nn.Dropout
Embedding = _C.nn.Embedding
ForwardContext = _C.nn.ForwardContext
Head = _C.nn.Head
Layer = _C.nn.Layer
Linear = _C.nn.Linear
Mlp = _C.nn.Mlp
Norm = _C.nn.Norm
PositionEmbedding = _C.nn.PositionEmbedding
rope_table = _C.nn.rope_table

__all__ = [
    "Attention",
    "Block",
    "Dropout",
    "Embedding",
    "ForwardContext",
    "Head",
    "Layer",
    "Linear",
    "Mlp",
    "Module",
    "Norm",
    "PositionEmbedding",
    "rope_table",
]


class Module:
    """Base of a model: finds the parameters of what its attributes hold.

    Define attributes in the order in which forward uses them: gradients are
    reduced over ranks in the reverse order, while backward goes on.

    Example:
      class Net(Module):
          def __init__(self):
              self.up = Linear("up", 8, 32)
              self.down = Linear("down", 32, 8)

          def forward(self, x, context):
              return self.down(functional.gelu(self.up(x, context)), context)

      y = Net()(x, context)
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Returns `forward` of the same arguments."""
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What a call computes; each model defines its own.

        Raises:
          NotImplementedError: This one does not.
        """
        raise NotImplementedError(
            f"{type(self).__name__} is called and defines no forward()"
        )

    def parameters(self) -> list[_C.Parameter]:
        """Returns all parameters in the order of the attributes.

        A table that an Embedding and a Head share is listed twice, since a
        pass uses it twice; `Update` counts on that.

        Raises:
          ValueError: Two dropout layers have one name: they would drop the
            same elements. (`Update` refuses two parameters of one name.)
        """
        found: list[_C.Parameter] = []
        random: dict[str, _C.nn.Layer] = {}
        for part in _parts(self):
            if isinstance(part, _C.Parameter):
                found.append(part)
                continue
            found += part.parameters()
            for name in part.random_names():
                if random.setdefault(name, part) is not part:
                    raise ValueError(
                        f"two layers that drop elements have the name {name!r}"
                        " and would drop the same ones; give one another name"
                    )
        return found


def _parts(value: Any) -> Iterator[_C.Parameter | _C.nn.Layer]:
    if isinstance(value, (_C.Parameter, _C.nn.Layer)):
        yield value
    elif isinstance(value, Module):
        for inner in vars(value).values():
            yield from _parts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _parts(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _parts(inner)
