"""Models of others that are known and not there, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eisbach.export.described import Described

_EXPERTS = (
    "mixtral qwen2_moe qwen3_moe qwen3_next olmoe flex_olmo phimoe gpt_oss "
    "dbrx granitemoe granitemoeshared jamba llama4 llama4_text minimax "
    "ernie4_5_moe glm4_moe hunyuan_v1_moe dots1 bailing_moe jetmoe arctic"
)
_LATENT = (
    "deepseek_v2 deepseek_v3 deepseek_v32 kimi_k2 longcat_flash minicpm3 "
    "glm4_moe_lite"
)
# What only such models say.
_EXPERT_KEYS = (
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "moe_intermediate_size",
)
_LATENT_KEYS = ("kv_lora_rank", "q_lora_rank")
_WHY = {
    "experts": "its MLPs are mixtures of experts (MoE), which are not there "
    "yet; take a dense model, such as one of llama, qwen3 or gemma3_text",
    "latent": "its attention is compressed (MLA, multi-head latent attention), "
    "which is not there yet; take a model with heads of their own, such as "
    "one of llama, qwen3 or gemma3_text",
    "gemma3": "a model of pictures and text, of which the text model alone is "
    "read (gemma3_text); docs/models.md says how transformers takes it "
    "out",
}


def why_refused(kind: str, described: Described) -> str | None:
    """Returns why a model of this `model_type` is not read; None if unknown.

    Latent attention goes first, as such models have experts too.
    """
    if kind == "gemma3":
        return _WHY["gemma3"]
    said = {name for name in (*_EXPERT_KEYS, *_LATENT_KEYS)
            if described.get(name, None)}  # fmt: skip
    if kind in _LATENT.split() or said & set(_LATENT_KEYS):
        return _WHY["latent"]
    if kind in _EXPERTS.split() or said & set(_EXPERT_KEYS):
        return _WHY["experts"]
    return None
