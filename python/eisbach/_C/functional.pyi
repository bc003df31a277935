# Made by scripts/generate_stubs.py from csrc/bindings.
"""
Differentiable functions; they record inside `with graph:`.
"""
from __future__ import annotations
import eisbach._C
import eisbach._C.nn
import typing
__all__: list[str] = ['add', 'add_position', 'attention', 'cross_entropy', 'embedding', 'gelu', 'layer_norm', 'linear', 'rms_norm', 'softmax', 'swiglu', 'view']
def add(a: eisbach._C.Tensor, b: eisbach._C.Tensor) -> eisbach._C.Tensor:
    """
    a + b, of one shape.
    """
def add_position(x: eisbach._C.Tensor, weight: eisbach._C.Parameter) -> eisbach._C.Tensor:
    """
    x [B, T, H] + weight[t], in place.
    """
def attention(qkv: eisbach._C.Tensor, heads: int, kv_heads: int | None = None) -> eisbach._C.Tensor:
    """
    Causal attention of a packed qkv [B, T, (heads + 2 kv_heads) D]: [B, T, heads D].
    """
def cross_entropy(logits: eisbach._C.Tensor, targets: eisbach._C.Tensor, scale: float = 1.0, *, context: eisbach._C.nn.ForwardContext | None = None) -> eisbach._C.Tensor:
    """
    scale x the sum over rows, f64 [1]; a row whose target is below 0 is masked, without loss and gradient. ValueError names a target of vocab or above; on a GPU, which nobody waits for, the loss is NaN. Backward overwrites the logits. `context` has the loss scale: f16 logits that record need it.
    """
def embedding(ids: eisbach._C.Tensor, weight: eisbach._C.Parameter) -> eisbach._C.Tensor:
    """
    Rows of weight [vocab, H] by ids, i32 [B, T]: [B, T, H]. ValueError names an id outside [0, vocab); on a GPU, which nobody waits for, its row is NaN.
    """
def gelu(x: eisbach._C.Tensor) -> eisbach._C.Tensor:
    """
    By its tanh form.
    """
def layer_norm(x: eisbach._C.Tensor, weight: eisbach._C.Parameter, bias: eisbach._C.Parameter, eps: float = 1e-05) -> eisbach._C.Tensor:
    """
    Over the last dimension; weight and bias [H].
    """
def linear(x: eisbach._C.Tensor, weight: eisbach._C.Parameter, bias: eisbach._C.Parameter | None = None) -> eisbach._C.Tensor:
    """
    y [..., N] = x [..., K] weight^T + bias; weight [N, K].
    """
def rms_norm(x: eisbach._C.Tensor, weight: eisbach._C.Parameter, eps: float = 1e-05) -> eisbach._C.Tensor:
    """
    Over the last dimension: x / sqrt(mean(x^2) + eps) * weight.
    """
def softmax(x: eisbach._C.Tensor) -> eisbach._C.Tensor:
    """
    Over the last dimension.
    """
def swiglu(gate_up: eisbach._C.Tensor) -> eisbach._C.Tensor:
    """
    silu(gate) * up of gate and up side by side.
    """
def view(x: eisbach._C.Tensor, shape: tuple[int, ...]) -> eisbach._C.Tensor:
    """
    The same elements under another shape.
    """
