"""An export is what transformers loads, and computes as we do."""

import json

import numpy as np
import pytest

from eisbach import _C
from eisbach.data.new_tokens import NewTokens
from eisbach.data.rules import DocumentRules, stored_tokenizer
from eisbach.data.template_files import take_template
from eisbach.data.tokenizer import load_tokenizer
from eisbach.export import export_model, read_model
from eisbach.export.carried import Carried
from eisbach.export.families import FAMILIES
from eisbach.export.reading import read_ends


def _tokens(config):
    rng = np.random.default_rng(6)
    shape = 3, config.model.context
    return rng.integers(0, config.model.vocab, shape, dtype=np.int32)


@pytest.mark.parametrize("tie", ["true", "false"])
@pytest.mark.parametrize("kv_heads", [6, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_computes_the_same_logits(
    make, tmp_path, family, kv_heads, tie
):
    import torch
    import transformers

    config, engine = make(
        f"model.family={family}",
        f"model.kv_heads={kv_heads}",
        f"model.tie_embeddings={tie}",
    )
    export_model(tmp_path, config.model, engine.gather(), None)
    net = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    tokens = _tokens(config)
    ours = engine.logits(_C.Tensor.from_numpy(tokens, engine.device)).numpy()
    with torch.no_grad():
        theirs = net(torch.from_numpy(tokens).long()).logits.numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)

    again = read_model(tmp_path)
    engine = make.engine(config.model_copy(update={"model": again.model}))
    engine.scatter(again.parameters)
    read = engine.logits(_C.Tensor.from_numpy(tokens, engine.device)).numpy()
    np.testing.assert_allclose(ours, read, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("made_by", ["bytes", "bpe", "sentencepiece"])
@pytest.mark.parametrize("family", ["gpt", "llama"])
def test_a_pipeline_of_transformers_says_what_we_say(
    make, tokenizers, tmp_path, family, made_by
):
    import transformers

    tokenizer = load_tokenizer(tokenizers[made_by])
    config, engine = make(
        f"model.family={family}", f"model.vocab={tokenizer.vocab}"
    )
    export_model(tmp_path, config.model, engine.gather(), tokenizer)

    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == tokenizer.vocab
    assert theirs.eos_token_id == tokenizer.end_of_document
    assert theirs.model_max_length == config.model.context
    for text in ("the quick brown fox", "naïve ☃\n\tfox", "a" * 99):
        ids = theirs(text)["input_ids"]
        assert ids == tokenizer.prompt(text)
        assert theirs.decode(ids) == tokenizer.decode(ids)

    prompt = "the quick"
    pipeline = transformers.pipeline("text-generation", model=str(tmp_path))
    said = pipeline(
        prompt, max_new_tokens=6, do_sample=False, return_tensors=True
    )[0]["generated_token_ids"]
    ids = tokenizer.prompt(prompt)
    end = tokenizer.end_of_document
    (made,) = _C.Decoder(engine).generate(
        [ids], tokens=6, temperature=0, stops=[] if end is None else [end]
    )
    made = made.tokens
    after = said[len(ids) :]
    assert after[: len(made)] == made
    assert after[len(made) :][:1] in ([], [theirs.eos_token_id])


def test_special_ids_and_both_spellings_of_fields(make, tokenizers, tmp_path):
    tokenizer = load_tokenizer(tokenizers["bpe"])
    end = tokenizer.end_of_document
    read = {}
    for family in ("gpt", "llama"):
        config, engine = make(
            f"model.family={family}", f"model.vocab={tokenizer.vocab}"
        )
        folder = tmp_path / family
        export_model(folder, config.model, engine.gather(), tokenizer)
        read[family] = json.loads((folder / "config.json").read_text())
        generation = json.loads((folder / "generation_config.json").read_text())
        for said in (read[family], generation):
            assert (said["eos_token_id"], said["bos_token_id"]) == (end, end)
        assert read[family]["dtype"] == read[family]["torch_dtype"]
    assert read["gpt"]["n_ctx"] == read["gpt"]["n_positions"] == 16
    assert read["llama"]["head_dim"] == 8
    theta = read["llama"]["rope_theta"]
    assert read["llama"]["rope_parameters"]["rope_theta"] == theta


def test_a_tokenizer_is_exported_as_the_text_was_prepared(
    make, tokenizers, tmp_path
):
    """Nothing is cut off, filled up, or put before a text."""
    import transformers

    text = "the quick brown fox " * 5
    plain = load_tokenizer(tokenizers["bpe"]).prompt(text)
    for name, begin in (
        ("cuts", "auto"),
        ("fills", "auto"),
        ("begins", "auto"),
        ("begins", "none"),
        ("bpe", "<|endoftext|>"),
    ):
        tokenizer = load_tokenizer(tokenizers[name], begin_of_document=begin)
        config, engine = make(
            f"model.vocab={tokenizer.vocab}", "model.context=64"
        )
        export_model(tmp_path, config.model, engine.gather(), tokenizer)
        theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
        begins = name in ("begins", "bpe") and begin != "none"
        expected = [0] * begins + plain
        assert theirs(text)["input_ids"] == expected
        again = load_tokenizer(str(tmp_path / "tokenizer.json"))
        assert again.prompt(text) == expected
        assert stored_tokenizer(tmp_path).prompt(text) == expected


def test_rules_of_the_data_come_back(make, tokenizers, tmp_path):
    rules = DocumentRules(3, (), "tokens")
    tokenizer = load_tokenizer(tokenizers["bpe"], rules=rules)
    config, engine = make(f"model.vocab={tokenizer.vocab}")
    export_model(tmp_path, config.model, engine.gather(), tokenizer)
    assert stored_tokenizer(tmp_path).rules == rules
    assert read_model(tmp_path).ends == (3,)


def test_several_ends_stay_several(make, tokenizers, tmp_path):
    tokenizer = load_tokenizer(tokenizers["begins"])
    config, engine = make(f"model.vocab={tokenizer.vocab}")
    export_model(
        tmp_path, config.model, engine.gather(), tokenizer, ends=(4, 0)
    )
    read = json.loads((tmp_path / "generation_config.json").read_text())
    assert read == {
        "bos_token_id": 0,
        "eos_token_id": [4, 0],
        "pad_token_id": 4,
    }
    assert read_model(tmp_path).ends == (4, 0)


def test_a_model_stops_where_turns_end(make, tokenizers, tmp_path):
    """By a template that came to a model which had none."""
    added = NewTokens((), ("<|im_start|>", "<|im_end|>"))
    tokenizer = load_tokenizer(tokenizers["bpe"], added=added)
    config, engine = make(f"model.vocab={tokenizer.vocab}")
    end = tokenizer.end_of_document
    turn = tokenizer.vocab - 1

    def stops(carried=None):
        export_model(
            tmp_path,
            config.model,
            engine.gather(),
            tokenizer,
            ends=[end],
            carried=carried,
        )
        text = (tmp_path / "generation_config.json").read_text()
        return json.loads(text)

    assert stops()["eos_token_id"] == end
    take_template(tokenizer, "chatml")
    assert stops()["eos_token_id"] == [end, turn]
    assert read_ends(tmp_path) == (end, turn)
    own = b'{"eos_token_id": 3, "top_p": 0.9}'
    files = {"generation_config.json": own}
    assert stops(Carried(files)) == {"eos_token_id": [3, turn], "top_p": 0.9}
    # What names it already goes along as it is.
    own = f'{{"eos_token_id": [{turn},  3]}}'.encode()
    stops(Carried({"generation_config.json": own}))
    assert (tmp_path / "generation_config.json").read_bytes() == own


def test_tokens_that_nobody_knows_have_no_tokenizer(make, tmp_path):
    config, engine = make("model.vocab=300")
    bytes_ = load_tokenizer("bytes")
    export_model(tmp_path, config.model, engine.gather(), bytes_)
    assert not (tmp_path / "tokenizer.json").exists()
    assert (tmp_path / "config.json").exists()
