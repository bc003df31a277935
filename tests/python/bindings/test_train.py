"""The engine on one rank against PyTorch, from the same weights and batches."""

from types import SimpleNamespace

import numpy as np
import pytest

from eisbach.export import gpt2, llama

MODELS = {
    "gpt": {"family": "gpt"},
    "gpt_untied": {"family": "gpt", "tie_embeddings": False},
    "llama": {"family": "llama", "kv_heads": 2, "tie_embeddings": False},
    "llama_tied": {"family": "llama", "kv_heads": 6},
}
STEPS = 50


def _peer(engine, make):
    """The same model in transformers, and its optimizer in PyTorch."""
    import torch
    import transformers

    model = SimpleNamespace(
        **{n: getattr(engine.config.model, n) for n in _SIZES}
    )
    names = {"gpt": gpt2, "llama": llama}[model.family]
    described = names.config(model)
    kind = getattr(transformers, described["architectures"][0])
    config = kind.config_class(**described)
    config._attn_implementation = "eager"
    net = kind(config).to(torch.float32)
    theirs = names.to_theirs(make.whole(engine, "master"), model)
    tensors = {n: torch.from_numpy(v) for n, v in theirs.items()}
    net.load_state_dict(tensors, strict=False)
    net.tie_weights()
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
    optimizer = torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.95), eps=1e-8)
    return SimpleNamespace(
        net=net, optimizer=optimizer, names=names, model=model
    )


_SIZES = (
    "family",
    "layers",
    "hidden",
    "heads",
    "kv_heads",
    "ffn_hidden",
    "context",
    "vocab",
    "dropout",
    "tie_embeddings",
    "norm_eps",
    "rope_theta",
)


def _peer_step(peer, tokens):
    import torch

    ids = torch.from_numpy(tokens)
    peer.optimizer.zero_grad()
    logits = peer.net(ids[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), ids[:, 1:].flatten()
    )
    loss.backward()
    gradients = {
        name: parameter.grad.numpy().copy()
        for name, parameter in peer.net.named_parameters()
    }
    norm = torch.nn.utils.clip_grad_norm_(peer.net.parameters(), 1.0)
    peer.optimizer.step()
    return loss.item(), norm.item(), gradients


@pytest.mark.parametrize("model", MODELS)
def test_fifty_steps_equal_those_of_pytorch(make, model):
    engine = make.engine(**MODELS[model])
    peer = _peer(engine, make)
    rng = make.rng(7)
    for step in range(STEPS):
        tokens, batch = make.batch(engine, rng)
        result = engine.step(batch)
        loss, norm, gradients = _peer_step(peer, tokens)
        assert result.loss == pytest.approx(loss, rel=1e-5)
        assert result.grad_norm == pytest.approx(norm, rel=1e-4)
        if step == 0:
            ours = peer.names.to_theirs(make.whole(engine, "grad"), peer.model)
            for name, expected in gradients.items():
                largest = np.abs(expected).max()
                np.testing.assert_allclose(
                    ours[name],
                    expected,
                    rtol=0,
                    atol=1e-4 * largest,
                    err_msg=name,
                )
