import pytest

FAMILIES = {
    "llama": ["qkv_bias: true, output_bias: true, mlp_bias: true"],
    "mistral": ["head_dim: 6", "window: 4"],
    "qwen2": ["window: 4, window_from: 1"],
    "qwen3": [
        "head_dim: 10",
        "qkv_bias: true, output_bias: true",
        "layers: 4, window: 3, window_full_every: 2",
    ],
    "smollm3": ["no_rope_every: 2", "mlp_bias: true"],
}


@pytest.mark.parametrize("tie", ["true", "false"])
@pytest.mark.parametrize("kv_heads", [6, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_names_and_shapes_are_those_of_transformers(
    check_names, family, kv_heads, tie
):
    sizes = (f"model.kv_heads={kv_heads}", f"model.tie_embeddings={tie}")
    check_names(family, *sizes)
    for choices in FAMILIES[family]:
        check_names(family, *sizes, f"model={{{choices}}}")
