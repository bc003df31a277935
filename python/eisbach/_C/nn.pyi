# Made by scripts/generate_stubs.py from csrc/bindings.
"""
Layers.
"""
from __future__ import annotations
import eisbach._C
import typing
__all__: list[str] = ['Attention', 'Block', 'Dropout', 'Embedding', 'ForwardContext', 'Head', 'Layer', 'Linear', 'Mlp', 'Norm', 'PositionEmbedding', 'rope_table']
class ForwardContext:
    """
    What a forward pass runs with, besides its inputs.
    """
    def __init__(self, device: eisbach._C.Device, *, training: bool = False, seed: int = 0, step: eisbach._C.Tensor | None = None, samples: eisbach._C.Tensor | None = None, starts: eisbach._C.Tensor | None = None) -> None:
        """
        `step` is i64 [1], `samples` i64 [B]: each sample's index in the run. Update.forward_context() fills them in. `starts` is i32 [B, T]: where each token's document begins in its row; None for rows that are one document.
        """
    @property
    def training(self) -> bool:
        """
        Whether dropout drops.
        """
class Layer:
    """
    Owns parameters; is called with a ForwardContext.
    """
    def parameters(self) -> list[eisbach._C.Parameter]:
        """
        In the order in which forward uses them.
        """
    def random_names(self) -> list[str]:
        """
        Of the layers inside that draw random numbers: dropout.
        """
class Linear(Layer):
    """
    y [..., N] = x [..., K] weight^T + bias.
    """
    def __call__(self, x: eisbach._C.Tensor, context: ForwardContext) -> eisbach._C.Tensor:
        ...
    def __init__(self, name: str, inputs: int, outputs: int, *, bias: bool = True, stddev: float = 0.02) -> None:
        ...
class Norm(Layer):
    """
    Layer norm, or RMS norm, of the last dimension.
    """
    def __call__(self, x: eisbach._C.Tensor, context: ForwardContext) -> eisbach._C.Tensor:
        ...
    def __init__(self, name: str, hidden: int, *, kind: str = 'layer', eps: float = 1e-05) -> None:
        """
        `kind` is layer or rms.
        """
class Dropout(Layer):
    """
    Of activations [B, T, F]; off outside training.
    """
    def __call__(self, x: eisbach._C.Tensor, context: ForwardContext) -> eisbach._C.Tensor:
        ...
    def __init__(self, name: str, p: float) -> None:
        ...
class Embedding(Layer):
    """
    Ids i32 [B, T] to rows [B, T, H].
    """
    def __call__(self, ids: eisbach._C.Tensor, context: ForwardContext) -> eisbach._C.Tensor:
        ...
    def __init__(self, weight: eisbach._C.Parameter) -> None:
        """
        `weight` [vocab, H] may be shared with a head.
        """
class PositionEmbedding(Layer):
    """
    Learned positions, added to x [B, T, H] in place.
    """
    def __call__(self, x: eisbach._C.Tensor, context: ForwardContext) -> eisbach._C.Tensor:
        ...
    def __init__(self, name: str, context: int, hidden: int, *, stddev: float = 0.02) -> None:
        ...
class Head(Layer):
    """
    Logits = x weight^T, and their loss.
    """
    def __init__(self, weight: eisbach._C.Parameter) -> None:
        ...
    def logits(self, x: eisbach._C.Tensor, context: ForwardContext) -> eisbach._C.Tensor:
        """
        [B, T, vocab].
        """
    def loss(self, x: eisbach._C.Tensor, targets: eisbach._C.Tensor, context: ForwardContext, scale: float = 1.0) -> eisbach._C.Tensor:
        """
        scale x the sum of the tokens' losses, f64 [1].
        """
class Attention(Layer):
    """
    Causal self-attention, [B, T, H].
    """
    def __call__(self, x: eisbach._C.Tensor, context: ForwardContext) -> eisbach._C.Tensor:
        ...
    def __init__(self, name: str, hidden: int, heads: int, *, kv_heads: int | None = None, bias: bool = True, stddev: float = 0.02, output_stddev: float = 0.02, rope: eisbach._C.Tensor | None = None) -> None:
        """
        `rope` is a table made by rope_table(); None is for positions that are learned.
        """
class Mlp(Layer):
    """
    down(activation(up(x))).
    """
    def __call__(self, x: eisbach._C.Tensor, context: ForwardContext) -> eisbach._C.Tensor:
        ...
    def __init__(self, name: str, hidden: int, ffn_hidden: int, *, activation: str = 'gelu', bias: bool = True, stddev: float = 0.02, output_stddev: float = 0.02) -> None:
        """
        `activation` is gelu or swiglu.
        """
class Block(Layer):
    """
    x += attention(norm(x)); x += mlp(norm(x)): [B, T, H].
    """
    def __call__(self, x: eisbach._C.Tensor, context: ForwardContext) -> eisbach._C.Tensor:
        ...
    def __init__(self, name: str, hidden: int, heads: int, *, kv_heads: int | None = None, ffn_hidden: int | None = None, norm: str = 'layer', eps: float = 1e-05, activation: str = 'gelu', bias: bool = True, stddev: float = 0.02, output_stddev: float = 0.02, rope: eisbach._C.Tensor | None = None, dropout: float = 0.0, recompute: bool = False) -> None:
        ...
def rope_table(context: int, head_dim: int, device: eisbach._C.Device, *, theta: float = 10000.0) -> eisbach._C.Tensor:
    """
    cos and sin of each position: f32 [context, head_dim / 2, 2].
    """
