"""A GGUF file holds every weight where llama.cpp looks for it."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest

from eisbach.data.new_tokens import NewTokens
from eisbach.data.template_files import take_template
from eisbach.data.tokenizer import load_tokenizer
from eisbach.export import write_gguf


def _field(reader, name):
    return reader.fields[name].contents()


def _tensors(reader):
    """By name, as arrays of f32 in row-major order."""
    return {
        t.name: gguf.dequantize(t.data, t.tensor_type).reshape(t.shape[::-1])
        for t in reader.tensors
    }


def _interleaved(weight, heads):
    """Row i of a head's first half, then row i of its second half."""
    rows = []
    for head in np.split(weight, heads):
        half = len(head) // 2
        rows += [head[i // 2 + half * (i % 2)] for i in range(len(head))]
    return np.stack(rows)


@pytest.mark.parametrize("tie", ["true", "false"])
def test_llama(make, tokenizers, tmp_path, tie):
    tokenizer = load_tokenizer(tokenizers["bpe"])
    config, engine = make(
        "model.family=llama",
        "model.kv_heads=2",
        "model.rope_theta=5000",
        f"model.tie_embeddings={tie}",
        f"model.vocab={tokenizer.vocab + 3}",
    )
    ours = engine.gather()
    path = tmp_path / "sub" / "tiny.gguf"
    write_gguf(path, config.model, ours, tokenizer)
    assert [p.name for p in path.parent.iterdir()] == ["tiny.gguf"]
    reader = gguf.GGUFReader(path)
    found = _tensors(reader)
    expected = {
        "token_embd.weight": ours["embedding.token.weight"],
        "output_norm.weight": ours["final_norm.weight"],
    }
    if tie == "false":
        expected["output.weight"] = ours["head.weight"]
    for i in range(2):
        own, name = f"blocks.{i}", f"blk.{i}"
        for theirs, part in (
            ("attn_norm", "norm1"),
            ("attn_v", "attention.value"),
            ("attn_output", "attention.output"),
            ("ffn_norm", "norm2"),
            ("ffn_gate", "mlp.gate"),
            ("ffn_up", "mlp.up"),
            ("ffn_down", "mlp.down"),
        ):
            expected[f"{name}.{theirs}.weight"] = ours[f"{own}.{part}.weight"]
        for theirs, part, heads in (("q", "query", 6), ("k", "key", 2)):
            expected[f"{name}.attn_{theirs}.weight"] = _interleaved(
                ours[f"{own}.attention.{part}.weight"], heads
            )
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)

    for name, value in {
        "general.architecture": "llama",
        "general.name": "tiny",
        "general.file_type": 0,
        "llama.vocab_size": tokenizer.vocab + 3,
        "llama.context_length": 16,
        "llama.embedding_length": 48,
        "llama.block_count": 2,
        "llama.feed_forward_length": config.model.ffn_hidden,
        "llama.attention.head_count": 6,
        "llama.attention.head_count_kv": 2,
        "llama.rope.dimension_count": 8,
        "llama.rope.freq_base": 5000.0,
        "llama.attention.layer_norm_rms_epsilon": np.float32(1e-5),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.ggml.add_bos_token": False,
    }.items():
        assert _field(reader, name) == value, name
    tokens = _field(reader, "tokenizer.ggml.tokens")
    types = _field(reader, "tokenizer.ggml.token_type")
    assert len(tokens) == len(types) == tokenizer.vocab + 3
    assert (tokens[0], types[0]) == ("<|endoftext|>", gguf.TokenType.CONTROL)
    assert types[-3:] == [gguf.TokenType.UNUSED] * 3
    assert len(set(tokens)) == len(tokens)
    for pair in _field(reader, "tokenizer.ggml.merges"):
        assert "".join(pair.split(" ")) in tokens


def test_gpt_of_bytes(make, tmp_path):
    config, engine = make(
        "model.family=gpt", "model.ffn_hidden=40", "model.vocab=256",
        "model.kv_heads=2",
    )  # fmt: skip
    ours = engine.gather()
    path = tmp_path / "tiny.gguf"
    write_gguf(path, config.model, ours, load_tokenizer("bytes"))
    reader = gguf.GGUFReader(path)
    found = _tensors(reader)
    assert found.keys() == {
        "token_embd.weight",
        "position_embd.weight",
        "output_norm.weight",
        "output_norm.bias",
        *(
            f"blk.{i}.{name}.{part}"
            for i in range(2)
            for name in ("attn_norm", "attn_qkv", "attn_output", "ffn_norm",
                         "ffn_up", "ffn_down")
            for part in ("weight", "bias")
        ),
    }  # fmt: skip
    for name, own in (
        ("position_embd.weight", "embedding.position.weight"),
        ("blk.1.ffn_up.weight", "blocks.1.mlp.up.weight"),
        ("blk.1.ffn_down.weight", "blocks.1.mlp.down.weight"),
        ("blk.0.attn_output.weight", "blocks.0.attention.output.weight"),
        ("blk.0.ffn_up.bias", "blocks.0.mlp.up.bias"),
    ):
        np.testing.assert_array_equal(found[name], ours[own], err_msg=name)
    fused = found["blk.0.attn_qkv.weight"]
    np.testing.assert_array_equal(
        fused[:48], ours["blocks.0.attention.query.weight"]
    )
    key = ours["blocks.0.attention.key.weight"].reshape(2, 8, 48)
    np.testing.assert_array_equal(
        fused[48:96].reshape(6, 8, 48), np.repeat(key, 3, axis=0)
    )
    assert _field(reader, "gpt2.feed_forward_length") == 40
    tokens = _field(reader, "tokenizer.ggml.tokens")
    assert len(tokens) == 256
    assert (tokens[65], tokens[32], tokens[255]) == ("A", "Ġ", "ÿ")
    # A byte that no text has: llama.cpp must stop at something.
    assert _field(reader, "tokenizer.ggml.eos_token_id") == 255
    (merge,) = _field(reader, "tokenizer.ggml.merges")
    assert not set(merge.split(" ")) & set(tokens)


@pytest.mark.parametrize(
    ("dtype", "step"), [("bf16", 2.0**-8), ("f16", 2.0**-11)]
)
def test_matrices_are_rounded_and_vectors_are_not(make, tmp_path, dtype, step):
    config, engine = make("model.family=llama")
    ours = engine.gather()
    path = tmp_path / "a.gguf"
    write_gguf(path, config.model, ours, None, dtype=dtype)
    reader = gguf.GGUFReader(path)
    kinds = {t.name: t.tensor_type.name for t in reader.tensors}
    assert kinds["blk.0.ffn_up.weight"] == dtype.upper()
    assert kinds["blk.0.ffn_norm.weight"] == "F32"
    assert _field(reader, "tokenizer.ggml.model") == "no_vocab"
    found = _tensors(reader)["blk.0.ffn_up.weight"]
    value = ours["blocks.0.mlp.up.weight"]
    assert np.any(found != value)
    np.testing.assert_allclose(found, value, rtol=step, atol=1e-7)


def test_pieces_and_the_end_of_a_turn(make, tokenizers, tmp_path):
    added = NewTokens((), ("<|im_start|>", "<|im_end|>"))
    tokenizer = load_tokenizer(tokenizers["sentencepiece"], added=added)
    take_template(tokenizer, "chatml")
    config, engine = make(
        "model.family=llama", f"model.vocab={tokenizer.vocab}"
    )
    path = tmp_path / "a.gguf"
    write_gguf(path, config.model, engine.gather(), tokenizer)
    reader = gguf.GGUFReader(path)
    assert _field(reader, "tokenizer.ggml.model") == "llama"
    assert len(_field(reader, "tokenizer.ggml.scores")) == tokenizer.vocab
    turn = _field(reader, "tokenizer.ggml.eot_token_id")
    assert _field(reader, "tokenizer.ggml.tokens")[turn] == "<|im_end|>"


def test_what_does_not_fit_leaves_no_file(make, tokenizers, tmp_path):
    config, engine = make("model.family=llama", "model.vocab=400")
    ours = engine.gather()
    path = tmp_path / "a.gguf"
    described = json.loads(Path(tokenizers["bpe"]).read_text())
    described["normalizer"] = {"type": "Lowercase"}
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(described))
    tokenizer = load_tokenizer(str(file))
    file.unlink()
    with pytest.raises(ValueError, match="normalizes text"):
        write_gguf(path, config.model, ours, tokenizer)
    ours["blocks.0.mlp.up.weight"][0, 0] = -1e5
    with pytest.raises(ValueError, match=r"up_proj.*100000.*f16"):
        write_gguf(path, config.model, ours, None, dtype="f16")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("family", "options", "architecture", "keys"),
    [
        ("mistral", [], "llama", {}),
        ("qwen2", [], "qwen2", {}),
        ("qwen3", ["model.head_dim=12"], "qwen3",
         {"attention.key_length": 12}),
        ("smollm3", [], "smollm3", {}),
        ("llama", ["model={rope_scaling: linear, rope_factor: 2.0}"], "llama",
         {"rope.scaling.type": "linear", "rope.scaling.factor": 2.0}),
        ("qwen2", ["model={rope_scaling: yarn, rope_factor: 2.0, "
                   "rope_original_context: 8}"], "qwen2",
         {"rope.scaling.type": "yarn",
          "rope.scaling.original_context_length": 8}),
    ],
)  # fmt: skip
def test_families(make, tmp_path, family, options, architecture, keys):
    config, engine = make(f"model.family={family}", *options)
    ours = engine.gather()
    path = tmp_path / "a.gguf"
    write_gguf(path, config.model, ours, None)
    reader = gguf.GGUFReader(path)
    assert _field(reader, "general.architecture") == architecture
    for key, value in keys.items():
        assert _field(reader, f"{architecture}.{key}") == value
    found = _tensors(reader)
    assert len(found) == len(ours)
    query = ours["blocks.0.attention.query.weight"]
    if architecture in ("llama", "smollm3"):
        query = _interleaved(query, config.model.heads)
    np.testing.assert_array_equal(found["blk.0.attn_q.weight"], query)


def test_phi3(make, tmp_path):
    """Rows as one layer, both lists of longrope, their sharpening."""
    config, engine = make(
        "model={family: phi3, kv_heads: 2, rope_scaling: longrope, "
        "rope_factor: 4.0, rope_original_context: 8, "
        "rope_short_factors: [1.0, 1.5], rope_long_factors: [2.0, 3.0], "
        "rope_fraction: 0.5}"
    )
    ours = engine.gather()
    path = tmp_path / "a.gguf"
    write_gguf(path, config.model, ours, None)
    reader = gguf.GGUFReader(path)
    for key, value in {
        "rope.dimension_count": 4,
        "rope.scaling.original_context_length": 8,
        "rope.scaling.attn_factor": np.float32(
            np.sqrt(1 + np.log(4) / np.log(8))
        ),
    }.items():
        assert _field(reader, f"phi3.{key}") == value
    found = _tensors(reader)
    parts = [ours[f"blocks.1.attention.{p}.weight"]
             for p in ("query", "key", "value")]  # fmt: skip
    np.testing.assert_array_equal(
        found["blk.1.attn_qkv.weight"], np.concatenate(parts)
    )
    parts = [ours[f"blocks.1.mlp.{p}.weight"] for p in ("gate", "up")]
    np.testing.assert_array_equal(
        found["blk.1.ffn_up.weight"], np.concatenate(parts)
    )
    np.testing.assert_array_equal(found["rope_factors_long.weight"], [2, 3])
    np.testing.assert_array_equal(found["rope_factors_short.weight"], [1, 1.5])


@pytest.mark.parametrize("family", ["gemma2", "gemma3", "olmo2", "apertus"])
def test_norms_and_keys_of_other_families(make, tmp_path, family):
    config, engine = make(f"model={{family: {family}, kv_heads: 2}}")
    ours = engine.gather()
    path = tmp_path / "a.gguf"
    write_gguf(path, config.model, ours, None)
    reader = gguf.GGUFReader(path)
    found = _tensors(reader)
    slopes = [own for own in ours if ".alpha_" in own]
    assert len(found) == len(ours) - len(slopes)
    last = ours["final_norm.weight"]
    keys = {}
    if family.startswith("gemma"):
        last = last + np.float32(1)
        keys["attention.sliding_window"] = config.model.window
    if family == "gemma2":
        keys["attn_logit_softcapping"] = 50.0
        keys["final_logit_softcapping"] = 30.0
    np.testing.assert_array_equal(found["output_norm.weight"], last)
    for key, value in keys.items():
        assert _field(reader, f"{family}.{key}") == value
    for i in range(len(slopes) // 2):
        for part in ("alpha_p", "alpha_n"):
            said = _field(reader, f"xielu.{part}")
            assert said[i] == ours[f"blocks.{i}.mlp.{part}"][0]
    norms = {
        "gemma2": ("post_attention_norm", "ffn_norm", "post_ffw_norm"),
        "gemma3": ("attn_q_norm", "post_attention_norm", "post_ffw_norm"),
        "olmo2": ("attn_q_norm", "post_attention_norm", "post_ffw_norm"),
        "apertus": ("attn_k_norm", "attn_norm", "ffn_norm"),
    }
    for name in norms[family]:
        assert f"blk.1.{name}.weight" in found


def test_stretched_positions_of_llama3(make, tmp_path):
    """What llama.cpp divides frequencies by: 1 for fast pairs, 4 for slow."""
    config, engine = make(
        "model={family: llama, rope_scaling: llama3, rope_factor: 4.0, "
        "rope_original_context: 64}"
    )
    path = tmp_path / "a.gguf"
    write_gguf(path, config.model, engine.gather(), None)
    factors = _tensors(gguf.GGUFReader(path))["rope_freqs.weight"]
    np.testing.assert_allclose(factors, [1, 3.926, 4, 4], rtol=1e-3)


def test_what_llama_cpp_computes_otherwise_is_refused(make, tmp_path):
    path = tmp_path / "a.gguf"
    for options, named in (
        ("{family: smollm3, no_rope_every: 2}", "no_rope_every=2"),
        ("{family: mistral, window: 4}", "window=4"),
        ("{family: llama, final_cap: 30.0}", "final_cap=30.0"),
        ("{family: gemma2, final_cap: 0.0}", "final_cap=0.0"),
        ("{family: gemma3, final_cap: 30.0}", "final_cap=30.0"),
        ("{family: gemma3, window: 3, window_full_every: 2, layers: 4}",
         "window_full_every=2"),
        ("{family: gemma3, window_rope_theta: 500.0}",
         "window_rope_theta=500.0"),
        ("{family: llama, rope_scaling: yarn, rope_factor: 2.0, "
         "rope_original_context: 8, rope_attention_factor: 1.5}",
         "rope_attention_factor=1.5"),
    ):  # fmt: skip
        config, engine = make(f"model={options}")
        with pytest.raises(ValueError, match=named):
            write_gguf(path, config.model, engine.gather(), None)
    assert not list(tmp_path.iterdir())
