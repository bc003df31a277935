"""What others have made is read whole, or refused by name."""

import functools
import json
import re

import numpy as np
import pytest

from eisbach import _C
from eisbach.export import read_model
from support.peers import LLAMA3, LONGROPE, YARN, write_random


@pytest.fixture
def save(tmp_path):
    """Writes a random model of transformers and returns it."""
    return functools.partial(write_random, tmp_path)


def _change(path, **keys):
    values = json.loads(path.read_text()) | keys
    path.write_text(json.dumps(values))


def _logits(make, folder):
    found = read_model(folder)
    config, _ = make()
    engine = make.engine(config.model_copy(update={"model": found.model}))
    engine.scatter(found.parameters)
    tokens = np.arange(32, dtype=np.int32).reshape(2, 16)
    if found.model.context > 16:  # of all positions
        rows = np.arange(2 * found.model.context, dtype=np.int32) * 7 % 61
        tokens = rows.reshape(2, -1)
    ours = engine.logits(_C.Tensor.from_numpy(tokens, engine.device))
    return tokens, ours.numpy()


def _check(make, net, folder, tolerance=1e-4):
    import torch

    tokens, ours = _logits(make, folder)
    with torch.no_grad():
        theirs = net.float()(torch.from_numpy(tokens).long()).logits.numpy()
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("llama", {}),
        ("llama", {"tie_word_embeddings": True, "rms_norm_eps": 1e-3}),
        ("llama", {"rope_parameters": {
            "rope_type": "default", "rope_theta": 500.0}}),
        ("llama", {"num_key_value_heads": None, "head_dim": 8}),
        ("llama", {"head_dim": 12}),
        ("llama", {"attention_bias": True, "mlp_bias": True}),
        ("llama", {"rope_parameters": {
            "rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}),
        ("llama", {"rope_parameters": LLAMA3}),
        ("llama", {"rope_parameters": YARN}),
        ("mistral", {"sliding_window": None}),
        ("mistral", {"sliding_window": 16, "head_dim": 6}),
        ("mistral", {"sliding_window": 5, "head_dim": 6}),
        ("mistral", {"sliding_window": 1}),
        ("qwen2", {}),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 4,
                   "max_window_layers": 1}),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 4,
                   "max_window_layers": 2}),
        ("qwen3", {"use_sliding_window": True, "sliding_window": 3,
                   "num_hidden_layers": 4, "layer_types": [
                       "sliding_attention", "full_attention"] * 2}),
        ("qwen3", {"use_sliding_window": True, "sliding_window": 7,
                   "max_window_layers": 0}),
        ("qwen2", {"rope_parameters": YARN, "tie_word_embeddings": True}),
        ("qwen3", {"head_dim": 12}),
        ("qwen3", {"head_dim": 8, "attention_bias": True}),
        ("smollm3", {"no_rope_layer_interval": 2}),
        ("smollm3", {"tie_word_embeddings": False}),
        ("phi3", {}),
        ("phi3", {"tie_word_embeddings": True, "sliding_window": 5}),
        ("phi3", {"rope_parameters": {
            "rope_type": "default", "rope_theta": 500.0,
            "partial_rotary_factor": 0.5}}),
        # Past the original context, and not.
        ("phi3", {"rope_parameters": LONGROPE,
                  "original_max_position_embeddings": 8}),
        ("phi3", {"rope_parameters": {
                      **LONGROPE, "partial_rotary_factor": 0.5,
                      "short_factor": [1.0, 1.5], "long_factor": [2.0, 3.0]},
                  "max_position_embeddings": 64,
                  "original_max_position_embeddings": 16}),
        ("gemma2", {"head_dim": 12, "sliding_window": 5}),
        ("gemma2", {"head_dim": 8, "query_pre_attn_scalar": 20,
                    "attn_logit_softcapping": 2.0,
                    "final_logit_softcapping": 3.0,
                    "tie_word_embeddings": False}),
        ("gemma2", {"head_dim": 8, "attn_logit_softcapping": None,
                    "final_logit_softcapping": None, "attention_bias": True}),
        ("gemma3_text", {"head_dim": 12, "sliding_window": 5,
                         "num_hidden_layers": 7}),
        ("gemma3_text", {"head_dim": 8, "num_hidden_layers": 4,
                         "sliding_window": 4, "layer_types": [
                             "sliding_attention", "full_attention"] * 2,
                         "rope_parameters": {
                             "sliding_attention": {
                                 "rope_type": "default", "rope_theta": 50.0},
                             "full_attention": {
                                 "rope_type": "linear", "factor": 8.0,
                                 "rope_theta": 900.0}}}),
        ("olmo2", {}),
        ("olmo2", {"num_key_value_heads": None, "tie_word_embeddings": True}),
        ("olmo2", {"attention_bias": True, "rope_parameters": YARN}),
        ("apertus", {}),
        ("apertus", {"tie_word_embeddings": True, "attention_bias": True}),
        ("apertus", {"rope_parameters": LLAMA3}),
        ("gpt2", {}),
        ("gpt2", {"n_inner": 40, "layer_norm_epsilon": 1e-2}),
        ("gpt2", {"activation_function": "gelu_pytorch_tanh"}),
        ("gpt2", {"tie_word_embeddings": False}),
        ("gpt2", {"reorder_and_upcast_attn": True, "attn_pdrop": 0.5}),
    ],
)  # fmt: skip
def test_folders_of_transformers_compute_the_same(
    make, save, tmp_path, kind, keys
):
    _check(make, save(kind, **keys), tmp_path)


@pytest.mark.parametrize("penalty", [1.0, 1.3])
@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("llama", {"rope_parameters": LLAMA3, "max_position_embeddings": 256}),
        ("mistral", {"sliding_window": None, "max_position_embeddings": 256}),
        ("mistral", {"sliding_window": 9, "max_position_embeddings": 256}),
        ("qwen2", {"max_position_embeddings": 256}),
        ("qwen3", {"head_dim": 12, "max_position_embeddings": 256}),
        ("smollm3", {"no_rope_layer_interval": 2,
                     "max_position_embeddings": 256}),
        ("gpt2", {"n_positions": 256}),
    ],
)  # fmt: skip
def test_two_hundred_greedy_tokens_are_those_of_transformers(
    make, save, tmp_path, kind, keys, penalty
):
    """Each prompt of a batch as theirs is alone."""
    import torch

    net = save(kind, **keys)
    found = read_model(tmp_path)
    config, _ = make()
    engine = make.engine(config.model_copy(update={"model": found.model}))
    engine.scatter(found.parameters)
    prompts = [[7], [3, 1, 4, 1, 5, 9, 2, 6], list(range(40))]
    made = _C.Decoder(engine).generate(
        prompts, tokens=200, temperature=0, repetition_penalty=penalty
    )
    for prompt, one in zip(prompts, made, strict=True):
        theirs = net.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt)),
            do_sample=False,
            max_new_tokens=200,
            eos_token_id=None,
            pad_token_id=0,
            repetition_penalty=penalty,
        )
        assert one.tokens == theirs[0, len(prompt) :].tolist()
        assert one.end == "tokens"


def test_weights_in_bf16_and_in_parts(make, save, tmp_path):

    net = save("llama", "bfloat16")
    net.save_pretrained(tmp_path, max_shard_size="20KB")
    (tmp_path / "model.safetensors").unlink()
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    _check(make, net, tmp_path)


def test_old_spellings(make, save, tmp_path):
    """As folders of transformers 4 have them."""
    net = save("llama", rope_parameters={"rope_theta": 500.0})
    path = tmp_path / "config.json"
    _change(path, rope_theta=500.0, rope_scaling=None, torch_dtype="float32")
    values = json.loads(path.read_text())
    del values["rope_parameters"], values["dtype"]
    path.write_text(json.dumps(values))
    _check(make, net, tmp_path)


def test_names_without_the_head(make, save, tmp_path):
    """As the folders of OpenAI's GPT-2 have them, with their masks."""
    net = save("gpt2")
    path = str(tmp_path / "model.safetensors")
    arrays = {
        name.removeprefix("transformer."): value
        for name, value in _C.read_safetensors(path).items()
    }
    arrays["h.0.attn.bias"] = np.tril(np.ones((16, 16), np.float32))
    arrays["lm_head.weight"] = arrays["wte.weight"]
    _C.write_safetensors(path, arrays)
    _check(make, net, tmp_path)


@pytest.mark.parametrize(
    ("kind", "keys", "names"),
    [
        ("llama", {"hidden_act": "gelu"}, ['hidden_act="gelu"', '"silu"']),
        ("llama", {"rope_parameters": {
            "rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
         ["rope_parameters.rope_type='dynamic'"]),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 4,
                   "num_hidden_layers": 4, "layer_types": [
                       *["sliding_attention"] * 2, *["full_attention"] * 2]},
         ["layer_types", "other patterns"]),
        ("smollm3", {"use_sliding_window": True, "sliding_window": 4,
                     "pad_token_id": None}, ["sliding_window=4"]),
        ("smollm3", {"no_rope_layers": [0, 1]},
         ["no_rope_layers=[0, 1]"]),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True},
         ["scale_attn_by_inverse_layer_idx=true"]),
        ("gpt2", {"scale_attn_weights": False}, ["scale_attn_weights=false"]),
        ("gpt2", {"activation_function": "relu"}, ["relu", "gelu_new"]),
        ("gemma", {}, ["model_type='gemma'", "llama"]),
    ],
)  # fmt: skip
def test_what_changes_the_mathematics_is_refused(
    save, tmp_path, kind, keys, names
):
    save(kind, **keys)
    with pytest.raises(ValueError, match=r"config\.json") as caught:
        read_model(tmp_path)
    for name in names:
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "keys", "names"),
    [
        ("mixtral", {}, ["MoE", "dense"]),
        ("qwen3_moe", {}, ["MoE"]),
        ("somebodys", {"num_local_experts": 8}, ["MoE"]),
        ("deepseek_v3", {"n_routed_experts": 8}, ["MLA"]),
        ("somebodys", {"kv_lora_rank": 8}, ["MLA"]),
        ("gemma3", {}, ["pictures", "models.md"]),
        ("mamba", {}, ["none of", "llama"]),
    ],
)
def test_what_is_known_and_not_there_is_refused_in_words(
    tmp_path, kind, keys, names
):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": kind, **keys}))
    with pytest.raises(ValueError, match=f"model_type='{kind}'") as caught:
        read_model(tmp_path)
    for name in names:
        assert name in str(caught.value)


def test_slopes_of_xielu_have_constants(save, tmp_path):
    save("apertus")
    path = str(tmp_path / "model.safetensors")
    arrays = dict(_C.read_safetensors(path))
    name = "model.layers.1.mlp.act_fn.beta"
    _C.write_safetensors(path, {**arrays, name: np.float32([0.6])})
    with pytest.raises(ValueError, match=re.escape(f"{name} is 0.6")):
        read_model(tmp_path)


def test_a_context_inside_the_original_takes_the_short_factors(
    make, save, tmp_path
):
    """As rows of the run may be shorter than those of the model."""
    import torch

    net = save("phi3", rope_parameters=LONGROPE, max_position_embeddings=64,
               original_max_position_embeddings=16)  # fmt: skip
    found = read_model(tmp_path)
    shorter = found.model.model_copy(update={"context": 16})
    config, _ = make()
    engine = make.engine(config.model_copy(update={"model": shorter}))
    engine.scatter(found.parameters)
    tokens = np.arange(32, dtype=np.int32).reshape(2, 16)
    ours = engine.logits(_C.Tensor.from_numpy(tokens, engine.device)).numpy()
    with torch.no_grad():
        theirs = net(torch.from_numpy(tokens).long()).logits.numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_old_spellings_of_gemma3(make, save, tmp_path):
    """As the folders of its makers have them."""
    net = save("gemma3_text", head_dim=8, num_hidden_layers=4,
               sliding_window=4, rope_parameters={
                   "sliding_attention": {
                       "rope_type": "default", "rope_theta": 50.0},
                   "full_attention": {
                       "rope_type": "linear", "factor": 8.0,
                       "rope_theta": 900.0}})  # fmt: skip
    path = tmp_path / "config.json"
    values = json.loads(path.read_text())
    for name in ("rope_parameters", "layer_types"):
        del values[name]
    path.write_text(json.dumps(values | {
        "rope_theta": 900.0, "rope_local_base_freq": 50.0,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window_pattern": 6,
        "hidden_act": "gelu_pytorch_tanh"}))  # fmt: skip
    _check(make, net, tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sliding_window", 4),
        ("rope_scaling", {"type": "dynamic", "factor": 2.0}),
        ("partial_rotary_factor", 0.5),
        ("quantization_config", {"quant_method": "gptq"}),
        ("logit_scale", 0.5),
    ],
)
def test_a_key_that_is_not_understood_is_refused(save, tmp_path, key, value):
    save("llama")
    path = tmp_path / "config.json"
    # Notes of who wrote it, and a special id more.
    _change(path, **{key: None, "_model_name": "x", "unk_token_id": 0})
    read_model(tmp_path)
    _change(path, **{key: value})
    with pytest.raises(ValueError, match=key):
        read_model(tmp_path)


def test_all_that_does_not_fit_is_told_at_once(save, tmp_path):
    save("llama", hidden_act="gelu", partial_rotary_factor=0.5)
    with pytest.raises(ValueError, match=r"hidden_act.*partial_rotary_factor"):
        read_model(tmp_path)


def test_biases_under_another_name_of_the_family_are_refused(save, tmp_path):
    save("qwen2")
    path = tmp_path / "config.json"
    values = json.loads(path.read_text())
    for name in ("use_sliding_window", "sliding_window", "max_window_layers",
                 "layer_types"):  # fmt: skip
        values.pop(name, None)
    path.write_text(json.dumps(values | {"model_type": "llama"}))
    with pytest.raises(ValueError, match=re.escape("q_proj.bias")):
        read_model(tmp_path)


def test_ends_of_a_text(save, tmp_path):
    """The file for generation may name more than the configuration."""
    save("llama", eos_token_id=7)
    assert read_model(tmp_path).ends == (7,)
    _change(tmp_path / "generation_config.json", eos_token_id=[7, 9])
    assert read_model(tmp_path).ends == (7, 9)
    (tmp_path / "generation_config.json").unlink()
    _change(tmp_path / "config.json", eos_token_id="</s>")
    with pytest.raises(ValueError, match="eos_token_id"):
        read_model(tmp_path)


def test_a_head_beside_a_tied_embedding_must_be_it(save, tmp_path):
    save("llama")
    _change(tmp_path / "config.json", tie_word_embeddings=True)
    with pytest.raises(ValueError, match=r"lm_head\.weight"):
        read_model(tmp_path)


def test_missing_layers_files_and_keys_are_named(save, tmp_path):
    save("llama")
    path = tmp_path / "config.json"
    _change(path, num_hidden_layers=3)
    with pytest.raises(ValueError, match=r"model\.layers\.2\.input_layernorm"):
        read_model(tmp_path)
    _change(path, num_hidden_layers=0)
    with pytest.raises(ValueError, match=r"model\.layers"):
        read_model(tmp_path)
    _change(path, num_hidden_layers=None)
    with pytest.raises(ValueError, match="has no num_hidden_layers"):
        read_model(tmp_path)
    _change(path, num_hidden_layers=2)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(OSError, match=r"model\.safetensors"):
        read_model(tmp_path)
    path.write_text("[]")
    with pytest.raises(ValueError, match="no JSON object"):
        read_model(tmp_path)


def test_parts_lie_in_the_folder(save, tmp_path):
    save("llama")
    (tmp_path / "model.safetensors").unlink()
    index = {"weight_map": {"a": "../model.safetensors"}}
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    with pytest.raises(ValueError, match="no file of this folder"):
        read_model(tmp_path)


def test_weights_are_finite_floats(save, tmp_path):
    save("llama")
    path = tmp_path / "model.safetensors"
    arrays = dict(_C.read_safetensors(path))
    name = "model.layers.1.mlp.up_proj.weight"
    for bad, reason in (
        (arrays[name].astype(np.int32), "is of type I32"),
        (np.full_like(arrays[name], np.nan), "is NaN or infinite"),
    ):
        _C.write_safetensors(str(path), {**arrays, name: bad})
        with pytest.raises(ValueError, match=f"{name}.*{reason}"):
            read_model(tmp_path)
