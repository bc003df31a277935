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
    "phi3": [
        "window: 4",
        "rope_fraction: 0.5",
        "rope_scaling: longrope, rope_factor: 2.0, rope_original_context: 5, "
        "rope_short_factors: [1.0, 1.5], rope_long_factors: [2.0, 3.0]",
    ],
    "olmo2": ["qkv_bias: true, output_bias: true"],
    "apertus": ["qkv_bias: true, output_bias: true"],
    "gemma2": [
        "head_dim: 6, qkv_bias: true, output_bias: true",
        "window: 0, window_full_every: 0, attention_cap: 0.0, final_cap: 0.0",
    ],
    "gemma3": [
        "layers: 4, window: 3, window_full_every: 2",
        "rope_scaling: linear, rope_factor: 8.0, attention_scale: 0.25",
    ],
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
