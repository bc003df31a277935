import pytest


@pytest.mark.parametrize("tie", ["true", "false"])
@pytest.mark.parametrize("kv_heads", [6, 2])
def test_names_and_shapes_are_those_of_transformers(check_names, kv_heads, tie):
    check_names(
        "llama", f"model.kv_heads={kv_heads}", f"model.tie_embeddings={tie}"
    )
