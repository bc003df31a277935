"""Folders of Hugging Face's form with random weights."""

from pathlib import Path

# SmolLM2 135M.
SMALL = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}
# 536 M parameters: 1 GiB in bf16.
LARGE = {
    **SMALL,
    "hidden_size": 1536,
    "intermediate_size": 4096,
    "num_hidden_layers": 18,
    "num_attention_heads": 24,
    "num_key_value_heads": 8,
}


def make_llama(folder: Path, sizes: dict[str, object], dtype: str) -> None:
    """Writes a Llama; `dtype` as torch names it."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.LlamaConfig(max_position_embeddings=2048, **sizes)
    model = transformers.LlamaForCausalLM(config)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
