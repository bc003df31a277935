"""A run that begins with a model of others."""

import json
import shutil

import pytest

from eisbach.config import load_config, make_config, resolve
from eisbach.core_config import complete
from eisbach.data.rules import store_tokenizer
from eisbach.data.tokenizer import load_tokenizer
from eisbach.export.start import folder_of, with_model_of
from eisbach.fitting import check_data, fit

SIZES = {
    "layers": 3,
    "hidden": 24,
    "heads": 6,
    "kv_heads": 2,
    "vocab": 40,
    "context": 256,
}


@pytest.fixture
def found():
    """What a folder says."""
    return make_config(
        model={"family": "llama", "rope_theta": 5e4, **SIZES}
    ).model


def config_of(*overrides):
    return resolve(load_config(None, overrides))


def test_a_configuration_need_not_say_what_the_folder_does(found, tmp_path):
    told = with_model_of(config_of("model.dropout=0.1"), tmp_path, found)
    for name, value in SIZES.items():
        assert getattr(told.model, name) == value
    assert (told.model.family, told.model.rope_theta) == ("llama", 5e4)
    assert told.model.ffn_hidden == found.ffn_hidden
    assert told.model.dropout == 0.1
    assert told.origin("model.layers") == f"derived: {tmp_path}"
    assert told.origin("model.dropout") == "command line"


def test_what_it_says_must_be_the_same(found, tmp_path):
    config = config_of(
        "model.family=llama", "model.hidden=24", "model.kv_heads=auto"
    )
    assert with_model_of(config, tmp_path, found).model.kv_heads == 2
    with pytest.raises(
        ValueError,
        match=rf"command line: model\.heads=4, and {tmp_path} has 6; command "
        r"line: model\.layers=2, and .* has 3; leave out",
    ):
        with_model_of(
            config_of("model.layers=2", "model.heads=4"), tmp_path, found
        )


def test_a_shorter_context_may_be_given(found, tmp_path):
    shorter = config_of("model.context=100")
    assert with_model_of(shorter, tmp_path, found).model.context == 100
    with pytest.raises(ValueError, match=r"model\.context=512, and .* 256"):
        with_model_of(config_of("model.context=512"), tmp_path, found)


def test_its_tokenizer_is_that_of_the_run(found, tokenizers, tmp_path):
    config = with_model_of(config_of(), tmp_path, found)
    assert config.data.tokenizer == "bytes"
    file = tmp_path / "tokenizer.json"
    shutil.copy(tokenizers["bpe"], file)
    config = with_model_of(config_of(), tmp_path, found)
    assert config.data.tokenizer == str(file)
    config = with_model_of(config_of("data.tokenizer=bytes"), tmp_path, found)
    assert config.data.tokenizer == "bytes"
    rules = load_tokenizer("bytes")
    store_tokenizer(tmp_path, rules)  # as our own exports have it
    config = with_model_of(config_of(), tmp_path, found)
    assert config.data.tokenizer == "bytes"


def test_what_is_no_folder_of_a_model_is_named(tmp_path):
    assert folder_of(config_of()) is None
    with pytest.raises(ValueError, match=f"model.from={tmp_path}: no folder"):
        folder_of(config_of(f"model.from={tmp_path}"))


def test_what_was_meant_is_told(tmp_path):
    def told():
        with pytest.raises(ValueError, match="no folder") as error:
            folder_of(make_config(model={"from": str(tmp_path)}))
        return str(error.value)

    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    assert "adapter.from" in told()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    assert told().endswith(f"nearest that works: {tmp_path / 'model'}")


@pytest.mark.mpi
@pytest.mark.parametrize("tensor", [1, 2])
def test_a_training_begins_with_its_weights(
    eisbach, others_folder, tmp_path, tensor
):
    """And exports them as they were, where nothing is learnt."""
    import torch
    import transformers

    theirs = others_folder("qwen3", head_dim=12, initializer_range=0.3)
    text = tmp_path / "text.txt"
    text.write_text("Wer reitet so spät durch Nacht und Wind? " * 50)

    done = eisbach(
        "train",
        f"model.from={theirs}",
        "model.context=32",
        f"data.train={text}",
        "train={steps: 2, global_batch: 2, micro_batch: 2}",
        "optimizer={lr: 1.0e-30, min_lr: 0.0, warmup_steps: 0}",
        "precision.compute=f32",
        f"parallel.tensor={tensor}",
        f"run={{dir: {tmp_path}, name: tuned}}",
        ranks=tensor,
    )
    assert not done.returncode, done.stderr
    load = transformers.AutoModelForCausalLM.from_pretrained
    want = load(theirs, dtype=torch.float32).state_dict()
    got = load(tmp_path / "tuned" / "model", dtype=torch.float32).state_dict()
    assert got.keys() == want.keys()
    for name, value in want.items():
        assert torch.equal(got[name], value), name


# Short ones: the model sees 64 bytes.
TEMPLATE = (
    "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }}.{% endfor %}"
    "{% if add_generation_prompt %}<a>{% endif %}"
)


def records_of(kind):
    for i in range(24):
        asked = [{"role": "user", "content": f"what {i}"}]
        yes, no = (
            [{"role": "assistant", "content": text}] for text in ("yes", "no")
        )
        if kind == "pairs":
            yield {"prompt": asked, "chosen": yes, "rejected": no}
        elif kind == "talks":
            yield {"messages": asked + yes}
        else:
            yield {"text": f"Much is said of {i}, and more of what follows it."}


# Of PEFT about transformers.
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("recipe", "kind", "writes"),
    [
        ("finetune_full", "talks", "model"),
        ("finetune_lora", "talks", "adapter"),
        ("finetune_dpo", "pairs", "adapter"),
        ("continue_pretraining", "texts", "model"),
    ],
)
def test_recipes(eisbach, others_folder, tmp_path, recipe, kind, writes):
    import transformers

    theirs = others_folder("llama")
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(r) + "\n" for r in records_of(kind)))
    (tmp_path / "short.jinja").write_text(TEMPLATE)
    done = eisbach(
        "train",
        f"configs/{recipe}.yaml",
        f"model.from={theirs}",
        f"data.train={data}",
        f"data.template={tmp_path / 'short.jinja'}",
        f"run.dir={tmp_path}",
        "train={steps: 2, global_batch: 4, micro_batch: 2}",
        "train.validation_batches=1",
        "optimizer.warmup_steps=1",
    )
    assert done.returncode == 0, done.stderr
    run = tmp_path / recipe
    lines = (run / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines]
    assert [s["step"] for s in steps] == [1, 2]
    assert all(0 < s["loss"] < 7 for s in steps)
    assert (steps[0]["reward_margin"] is not None) == (kind == "pairs")
    model = transformers.AutoModelForCausalLM.from_pretrained(
        theirs if writes == "adapter" else run / "model"
    )
    if writes == "adapter":
        import peft

        peft.PeftModel.from_pretrained(model, run / "adapter")


def words(folder):
    """Makes a tokenizer of words in a folder of a model."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocab = {f"w{i}": i for i in range(59)} | {"<unk>": 59}
    made = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast"}'
    )


NEW = "model.add_special_tokens=[<|robot|>, <|tool|>]"


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("ranks", "rows", "tied"), [(1, 60, False), (2, 60, True), (1, 64, False)]
)
def test_new_tokens_are_the_mean_and_go_along(
    eisbach, others_folder, tmp_path, ranks, rows, tied
):
    """Nothing is learnt; a table may have room already."""
    import torch
    import transformers

    theirs = others_folder(
        "llama", rows=rows, initializer_range=0.3, tie_word_embeddings=tied
    )
    words(theirs)
    text = tmp_path / "text.txt"
    text.write_text("w1 w2 shiny w3 w5 w7 " * 100)
    done = eisbach(
        "train",
        f"model.from={theirs}",
        "model.add_tokens=[shiny]",
        NEW,
        "model.context=16",
        f"data.train={text}",
        "train={steps: 2, global_batch: 2, micro_batch: 2}",
        "optimizer={lr: 1.0e-30, min_lr: 0.0, warmup_steps: 0}",
        "precision.compute=f32",
        f"parallel.tensor={ranks}",
        f"run={{dir: {tmp_path}, name: tuned}}",
        ranks=ranks,
    )
    assert not done.returncode, done.stderr
    assert "warning" not in done.stderr
    load = transformers.AutoModelForCausalLM.from_pretrained
    want = load(theirs, dtype=torch.float32).state_dict()
    model = tmp_path / "tuned" / "model"
    net = load(model, dtype=torch.float32)
    got = net.state_dict()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        old, new = want[name], got[name]
        assert new.shape[0] == max(rows, 63)
        assert torch.equal(new[:60], old[:60])
        assert torch.equal(new[63:], old[63:])
        mean = old[:60].double().mean(0).float().bfloat16().float()
        torch.testing.assert_close(
            new[60:63], mean.expand(3, -1), rtol=1e-2, atol=1e-6
        )
        assert torch.equal(new[60], new[62])
    assert net.config.vocab_size == max(rows, 63)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    ids = tokenizer("w4 shiny <|robot|> w6<|tool|>")["input_ids"]
    assert ids == [4, 60, 61, 6, 62]
    told = json.loads((model / "tokenizer_config.json").read_text())
    assert told["added_tokens_decoder"]["61"]["special"]
    if ranks == 1:
        return
    # It goes on with its own copy, and has no tokens to add again.
    shutil.rmtree(model)
    again = eisbach(
        "train", "--resume", tmp_path / "tuned", "train.steps=3", ranks=ranks
    )
    assert not again.returncode, again.stderr
    assert load(model).config.vocab_size == max(rows, 63)


def test_new_tokens_of_a_run_from_scratch(tmp_path):
    words(tmp_path)
    config = complete(
        config_of(f"data.tokenizer={tmp_path}", "model.add_tokens=[a, b]")
    )
    assert (config.model.vocab, config.model.first_added_token) == (62, 60)
    assert complete(config) == config
    fit(config, 1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["model.add_tokens=[shiny, shiny]"],
            r"model\.add_tokens: shiny comes twice",
        ),
        (
            ["model.add_tokens=[w3]"],
            r"w3 is a token of data\.tokenizer=.* already, id 3: leave it",
        ),
        (
            ["model.first_added_token=7"],
            r"model\.first_added_token=7: no token is added",
        ),
        (
            ["model.add_tokens=[shiny]", "adapter={rank: 2, tokens: [3]}"],
            r"adapter\.tokens=\[3\] leaves out 60, a new token.*: take "
            r"\[3, 60\], or auto",
        ),
        (["model.add_tokens=['']"], r"model\.add_tokens\[0\]"),
        (
            ["adapter={rank: 2, tokens: [60]}"],
            r"adapter\.tokens has 60, which is outside \[0, vocab=60\)",
        ),
        (
            ["model={add_tokens: [shiny], first_added_token: 62}"],
            r"model\.first_added_token=62: the tokens of .* end before 60",
        ),
    ],
)
def test_new_tokens_that_cannot_be_are_named(
    others_folder, tmp_path, overrides, message
):
    theirs = others_folder("llama", rows=60)
    words(theirs)
    text = tmp_path / "text.txt"
    text.write_text("w1 w2")
    given = [f"model.from={theirs}", f"data.train={text}", *overrides]
    with pytest.raises(ValueError, match=message):
        check_data(fit(config_of(*given), 1).config)
