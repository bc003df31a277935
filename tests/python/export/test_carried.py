"""What goes along unchanged with a model that was tuned."""

import json
import shutil
from pathlib import Path

import pytest

from eisbach.config import load_config, make_config, resolve
from eisbach.data.rules import store_tokenizer
from eisbach.data.template_files import take_template
from eisbach.data.tokenizer import load_tokenizer
from eisbach.export.carried import Carried, read_carried
from eisbach.export.keeping import keep_carried
from eisbach.run.folder import RunFolder

TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


@pytest.fixture
def base(tmp_path, tokenizers):
    """A folder with all that may go along."""
    folder = tmp_path / "base"
    (folder / "additional_chat_templates").mkdir(parents=True)
    described = {
        "model_type": "llama",
        "vocab_size": 320,
        "hidden_size": 24,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "max_position_embeddings": 128,
        "eos_token_id": [7, 9],
        "dtype": "bfloat16",
    }
    files = {
        "config.json": json.dumps(described),
        "tokenizer.json": Path(tokenizers["bpe"]).read_text(),
        "tokenizer_config.json": '{"chat_template": "old", "mine": 1}',
        "chat_template.jinja": TEMPLATE,
        "additional_chat_templates/tools.jinja": "tools",
        "generation_config.json": '{"top_p": 0.8}',
        "LICENSE": "licence",
        "pytorch_model.bin": "not this",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def kept(tmp_path, *overrides, name="run", tokenizer=None, parent=None):
    config = resolve(load_config(None, overrides))
    folder = RunFolder(tmp_path / name)
    folder.path.mkdir()
    made = load_tokenizer(tokenizer or config.data.tokenizer)
    folder.tokenizer.mkdir()
    store_tokenizer(folder.tokenizer, made)
    keep_carried(folder, config, made, parent)
    return folder


def carried_of(run):
    return read_carried(run.base, tokenizer=run.tokenizer)


def names_in(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*")
            if p.is_file()}  # fmt: skip


def test_a_run_keeps_what_its_model_came_with(base, tmp_path):
    run = kept(
        tmp_path,
        f"model.from={base}",
        f"data.tokenizer={base}/tokenizer.json",
    )
    found = carried_of(run)
    assert not names_in(run.base) & names_in(run.tokenizer), "kept once"
    assert sorted(found.files) == [
        "LICENSE",
        "additional_chat_templates/tools.jinja",
        "chat_template.jinja",
        "generation_config.json",
        "tokenizer_config.json",
    ]
    assert found == read_carried(base)
    assert found.dtype == "bf16"
    assert found.ids() == {"eos_token_id": [7, 9]}
    fork = kept(
        tmp_path,
        f"model.from={tmp_path}/gone",
        name="fork",
        tokenizer=f"{base}/tokenizer.json",
        parent=run,
    )
    assert carried_of(fork) == found


def test_another_template_is_that_of_the_run(base, tmp_path):
    overrides = f"model.from={base}", f"data.tokenizer={base}/tokenizer.json"
    config = resolve(load_config(None, overrides))
    run = RunFolder(tmp_path / "run")
    run.tokenizer.mkdir(parents=True)
    made = load_tokenizer(config.data.tokenizer)
    take_template(made, "chatml")
    store_tokenizer(run.tokenizer, made)
    keep_carried(run, config, made, None)
    found = carried_of(run).files
    assert b"<|im_start|>" in found["chat_template.jinja"]
    assert (
        found["tokenizer_config.json"] == b'{"chat_template": "old", "mine": 1}'
    )


def test_ids_of_another_tokenizer_are_left_out(base, tokenizers, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("tokenizer_config.json", "generation_config.json"):
        (other / name).write_text("{}")
    shutil.copy(tokenizers["begins"], other / "tokenizer.json")
    run = kept(tmp_path, f"model.from={base}", f"data.tokenizer={other}")
    found = carried_of(run)
    assert found.ids() == {}
    assert found.dtype == "bf16"
    assert sorted(found.files) == [
        "LICENSE",
        "generation_config.json",
        "tokenizer_config.json",
    ]


def test_another_tokenizer_takes_nothing_but_the_licence(base, tmp_path):
    run = kept(tmp_path, f"model.from={base}", "data.tokenizer=bytes")
    found = carried_of(run)
    assert list(found.files) == ["LICENSE"]
    assert found.ids() == {}
    assert found.described["max_position_embeddings"] == 128


def test_a_tokenizer_brings_its_template(base, tmp_path):
    run = kept(tmp_path, f"data.tokenizer={base}/tokenizer.json")
    found = carried_of(run)
    assert found.files["chat_template.jinja"].decode() == TEMPLATE
    assert found.described == {}
    assert "LICENSE" not in found.files
    assert not kept(tmp_path, name="plain").base.exists()


def test_the_context_is_that_of_the_base():
    def context_of(family, length):
        model = make_config(model={"family": family, "context": 64}).model
        return (
            Carried({}, {"max_position_embeddings": length}).of(model).context
        )

    assert context_of("llama", 256) == 256
    assert context_of("llama", 32) == 64
    assert context_of("gpt", 256) == 64  # it has no vectors for more
