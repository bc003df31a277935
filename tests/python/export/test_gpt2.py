import numpy as np
import pytest

from eisbach.export import gpt2


@pytest.mark.parametrize("tie", ["true", "false"])
@pytest.mark.parametrize("kv_heads", [6, 2])
def test_names_and_shapes_are_those_of_transformers(check_names, kv_heads, tie):
    check_names(
        "gpt", f"model.kv_heads={kv_heads}", f"model.tie_embeddings={tie}"
    )


def test_shared_heads_are_repeated(models):
    model = models.tiny("gpt", "model.kv_heads=2")
    ours = models.parameters(model)
    theirs = gpt2.to_theirs(ours, model)
    fused = theirs["transformer.h.0.attn.c_attn.bias"]
    key = ours["blocks.0.attention.key.bias"].reshape(2, 4)
    heads = fused[24:48].reshape(6, 4)
    np.testing.assert_array_equal(heads[:3], np.stack([key[0]] * 3))
    np.testing.assert_array_equal(heads[3:], np.stack([key[1]] * 3))
    weight = theirs["transformer.h.0.attn.c_attn.weight"]
    np.testing.assert_array_equal(
        weight[:, :24].T, ours["blocks.0.attention.query.weight"]
    )
