"""Models of transformers: random folders, and their steps in PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES = {
    "vocab_size": 61,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16,
    # PyTorch gives the row of a token that fills up no gradient.
    "pad_token_id": None,
}
_GPT2 = {
    "vocab_size": 61,
    "n_embd": 48,
    "n_layer": 2,
    "n_head": 6,
    "n_positions": 16,
}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 500.0,
    "short_factor": [1.0, 1.25, 1.5, 2.0],
    "long_factor": [1.0, 2.0, 4.5, 8.0],
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 2.0,
    "original_max_position_embeddings": 8,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 500.0,
    "factor": 4.0,
    "original_max_position_embeddings": 4,
    "beta_fast": 0.5,
    "beta_slow": 0.1,
}


def write_random(
    folder: Path, kind: str, dtype: str = "float32", **keys: Any
) -> Any:
    """Writes a random model of transformers and returns it.

    Args:
      folder: Gets what `save_pretrained` writes.
      kind: As `model_type` of `config.json` has it.
      dtype: Of the weights, as PyTorch calls it.
      keys: Of `config.json`, over tiny sizes.
    """
    import torch
    import transformers

    torch.manual_seed(0)
    sizes = _GPT2 if kind == "gpt2" else SIZES
    described = transformers.AutoConfig.for_model(
        kind, **{**sizes, "initializer_range": 0.2, **keys}
    )
    net = transformers.AutoModelForCausalLM.from_config(described)
    for parameter in net.parameters():  # biases are 0 otherwise
        torch.nn.init.normal_(parameter, std=0.2)
    net.to(getattr(torch, dtype)).save_pretrained(folder)
    return net.eval()


class Peer:
    """A model of transformers that PyTorch's AdamW trains.

    Attributes:
      net: The model, in f32.
    """

    def __init__(self, net: Any):
        import torch

        self.net = net
        # Between it and 0 the slope of theirs jumps; ops/xielu.h says why ours
        # does not.
        for name, buffer in net.named_buffers():
            if name.endswith("act_fn.eps"):
                buffer.zero_()
        # GPT-2 keeps its positions and biases: decay is for matrices alone.
        groups = [
            {
                "params": [p for p in net.parameters() if p.dim() >= 2],
                "weight_decay": 0.1,
            },
            {
                "params": [p for p in net.parameters() if p.dim() < 2],
                "weight_decay": 0.0,
            },
        ]
        self._optimizer = torch.optim.AdamW(
            groups, lr=3e-4, betas=(0.9, 0.95), eps=1e-8
        )

    def step(
        self, tokens: NDArray[Any], targets: NDArray[Any] | None = None
    ) -> tuple[float, float, dict[str, NDArray[Any]]]:
        """Does a step; the norm of the gradient is cut at 1.

        Args:
          tokens: [samples, length + 1].
          targets: [samples, length], -100 where nothing counts; None takes
            what follows each token.

        Returns:
          The loss, the norm of the gradient, and the gradient by name.
        """
        import torch

        ids = torch.from_numpy(tokens)
        wanted = ids[:, 1:] if targets is None else torch.from_numpy(targets)
        self._optimizer.zero_grad()
        logits = self.net(ids[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), wanted.flatten(), ignore_index=-100
        )
        loss.backward()
        gradients = {
            name: parameter.grad.numpy().copy()
            for name, parameter in self.net.named_parameters()
        }
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self._optimizer.step()
        return loss.item(), norm.item(), gradients


def check_gradients(
    ours: dict[str, NDArray[Any]], theirs: dict[str, NDArray[Any]]
) -> None:
    """Checks each within 1e-4 of the largest of its tensor."""
    for name, expected in theirs.items():
        np.testing.assert_allclose(
            ours[name],
            expected,
            rtol=0,
            atol=1e-4 * np.abs(expected).max(),
            err_msg=name,
        )


def whole(engine: Any, value: str) -> dict[str, NDArray[Any]]:
    """Copies of the parameters' `value` by logical name; one rank.

    Args:
      engine: That has them.
      value: `master` or `grad`.
    """
    found = {}
    for parameter in engine.parameters:
        flat = getattr(parameter, value).numpy()
        for piece in parameter.slices:
            assert piece.extent == piece.shape
            row = piece.local_row
            found[piece.name] = flat[row : row + piece.shape[0]].copy()
    return found
