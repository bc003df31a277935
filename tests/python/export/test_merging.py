"""Runs that train adapters: what they write, and what is made of it."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file

from eisbach.export.adapted import adapted_at
from eisbach.export.adapter_start import WEIGHTS
from eisbach.export.merging import merge

# Of PEFT about transformers.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
KEYS = ("model.context=32", "data.validation=none")


@pytest.fixture(scope="module")
def trained(trainer, eisbach, tmp_path_factory):
    """A model, and a run of six steps that has trained adapters for it."""
    train = trainer(*KEYS)
    _, base = train("base")
    done, tuned = train(
        "tuned",
        f"model.from={base / 'model'}",
        "adapter.rank=4",
        "adapter.dropout=0.1",
        "train.steps=6",
        "checkpoint.every_steps=3",
    )
    assert done.returncode == 0, done.stderr
    return done, base, tuned


def logits_of(net):
    tokens = torch.arange(24)[None]
    with torch.no_grad():
        return net.eval()(tokens).logits.numpy()


def adapted(base, folder):
    import peft

    net = transformers.AutoModelForCausalLM.from_pretrained(base)
    return peft.PeftModel.from_pretrained(net, folder)


def test_a_run_writes_the_folder_of_peft(trained):
    done, base, tuned = trained
    assert not (tuned / "model").exists()
    told = json.loads((tuned / "adapter" / "adapter_config.json").read_text())
    assert told["r"] == 4
    assert told["lora_alpha"] == 8
    assert told["base_model_name_or_path"] == str(base / "model")
    assert (tuned / "adapter" / "tokenizer.json").is_file()
    summary = json.loads((tuned / "summary.json").read_text())
    sizes = [v.size for v in load_file(tuned / "adapter" / WEIGHTS).values()]
    assert summary["trained_parameters"] == sum(sizes)
    assert f"{sum(sizes):,} trained beside them" in done.stdout


def test_merged_it_is_the_model_with_its_adapters(eisbach, trained, tmp_path):
    _, base, tuned = trained
    done = eisbach("export", tuned, "--output", tmp_path / "merged")
    assert done.returncode == 0, done.stderr
    apart = re.search(r"merged in f32: logits of 64 tokens are (\S+) apart",
                      done.stdout)  # fmt: skip
    assert float(apart[1]) < 1e-5
    merged = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "merged"
    )
    plain = transformers.AutoModelForCausalLM.from_pretrained(base / "model")
    wanted = logits_of(adapted(base / "model", tuned / "adapter"))
    np.testing.assert_allclose(logits_of(merged), wanted, atol=1e-5)
    assert np.abs(logits_of(plain) - wanted).max() > 1e-3
    done = eisbach(
        "export", tuned, "--output", tmp_path / "short", "--dtype", "bf16"
    )
    assert re.search(r"; \S+ apart in bf16", done.stdout)


def test_of_a_checkpoint_too(eisbach, trained, tmp_path):
    _, base, tuned = trained
    last, alone = tmp_path / "last", tmp_path / "alone"
    for output, *more in ((last,), (alone, "--checkpoint", "3")):
        done = eisbach("export", tuned, "--adapter", "--output", output, *more)
        assert done.returncode == 0, done.stderr
    assert (last / WEIGHTS).read_bytes() == (
        tuned / "adapter" / WEIGHTS
    ).read_bytes()
    assert (alone / WEIGHTS).read_bytes() != (last / WEIGHTS).read_bytes()
    assert adapted(base / "model", alone).peft_config["default"].r == 4
    done = eisbach("export", f"{tuned}@3", "--output", tmp_path / "merged")
    assert done.returncode == 0, done.stderr
    merged = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "merged"
    )
    np.testing.assert_allclose(
        logits_of(merged),
        logits_of(adapted(base / "model", alone)),
        atol=1e-5,
    )
    done = eisbach("export", base, "--adapter", "--output", tmp_path / "none")
    assert "has no adapters (--adapter)" in done.stderr


def test_it_speaks(eisbach, trained):
    _, _, tuned = trained
    done = eisbach("sample", tuned, "--prompt", "def ", "--tokens", "8")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("def ")


def test_it_goes_on_where_it_was(eisbach, trained, tmp_path):
    _, base, tuned = trained
    again = tmp_path / "tuned"
    shutil.copytree(tuned, again)
    for name in ("adapter", "summary.json"):
        path = again / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(again / "checkpoints" / "step-00000006")
    files = list((again / "checkpoints" / "step-00000003").glob("*.safe*"))
    names = {name for file in files for name in load_file(file)}
    assert all(".lora_" in name for name in names), names
    # Its model has another place by now.
    moved = tmp_path / "moved"
    shutil.copytree(base / "model", moved)
    done = eisbach("train", "--resume", again, f"model.from={moved}")
    assert done.returncode == 0, done.stderr
    assert (again / "adapter" / WEIGHTS).read_bytes() == (
        tuned / "adapter" / WEIGHTS
    ).read_bytes()


def test_another_model_under_its_name_is_found(eisbach, trained, tmp_path):
    _, base, tuned = trained
    other = tmp_path / "model"
    shutil.copytree(base / "model", other)
    weights = other / "model.safetensors"
    old = weights.read_bytes()
    weights.write_bytes(old[:-4] + bytes([old[-4] ^ 1]) + old[-3:])
    done = eisbach(
        "train", "--resume", tuned, f"model.from={other}", "train.steps=8"
    )
    assert done.returncode != 0
    assert "model.from[0]" in done.stderr


def test_it_begins_with_adapters_that_are_there(trainer, trained):
    _, base, tuned = trained
    train = trainer(*KEYS)
    done, more = train(
        "more",
        f"model.from={base / 'model'}",
        f"adapter.from={tuned / 'adapter'}",
        "train.steps=1",
        "optimizer.lr=1e-30",
    )
    assert done.returncode == 0, done.stderr
    before = load_file(tuned / "adapter" / WEIGHTS)
    for name, value in load_file(more / "adapter" / WEIGHTS).items():
        np.testing.assert_array_equal(value, before[name])


def test_adapters_need_a_model(eisbach, tmp_path):
    done = eisbach(
        "train", "configs/tiny.yaml", "adapter.rank=4", f"run.dir={tmp_path}"
    )
    assert "model.from is none; name its folder" in done.stderr
    done = eisbach(
        "train", "configs/tiny.yaml", "adapter.alpha=4", f"run.dir={tmp_path}"
    )
    assert "adapter.alpha means nothing" in done.stderr


@pytest.mark.mpi
@pytest.mark.parametrize("axis", ["tensor", "context"])
def test_ranks_train_like_one(trainer, trained, axis):
    _, base, tuned = trained
    train = trainer(*KEYS)
    done, divided = train(
        f"divided-{axis}",
        f"model.from={base / 'model'}",
        "adapter.rank=4",
        "adapter.dropout=0.1",
        "train.steps=6",
        f"parallel.{axis}=2",
        ranks=2,
    )
    assert done.returncode == 0, done.stderr
    with adapted_at(divided) as adapted:
        source, _ = merge(adapted)  # on one rank
    assert source.parameters["blocks.0.mlp.up.weight"].any()

    def losses(run):
        lines = (run / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line)["loss"] for line in lines]

    np.testing.assert_allclose(losses(divided), losses(tuned), rtol=1e-5)


def test_whole_weights_may_be_frozen_instead(trainer, trained):
    _, base, _ = trained
    train = trainer(*KEYS)
    done, partly = train(
        "partly",
        f"model.from={base / 'model'}",
        "optimizer.groups=[{parameters: ['embedding.*', '*norm*', "
        "'blocks.0.*'], frozen: true}]",
        "train.steps=2",
    )
    assert done.returncode == 0, done.stderr
    before = load_file(base / "model" / "model.safetensors")
    after = load_file(partly / "model" / "model.safetensors")
    for name, value in after.items():
        moves = ".h.1." in name and "ln_" not in name
        assert np.array_equal(value, before[name]) != moves, name
    # Of the optimizer a checkpoint has the state of what trains.
    files = (partly / "checkpoints" / "step-00000002").glob("*.safetensors")
    names = [name for file in files for name in load_file(file)]
    state = [name for name in names if name.startswith("optimizer.m/")]
    assert state
    assert all("/blocks.1." in name for name in state), state


def test_new_tokens_are_rows_beside_the_adapters(
    eisbach, trainer, trained, tmp_path
):
    import peft

    _, base, _ = trained
    text = tmp_path / "text.py"
    text.write_text("def one():\n    return 1  # <|robot|>\n" * 60)
    train = trainer(*KEYS)
    done, tuned = train(
        "tokens",
        f"model.from={base / 'model'}",
        "model.add_tokens=[return]",
        "model.add_special_tokens=[<|robot|>]",
        f"data.train={text}",
        "adapter.rank=4",
        "train.steps=6",
        "checkpoint.every_steps=3",
        "optimizer.lr=0.01",
    )
    assert done.returncode == 0, done.stderr
    told = json.loads((tuned / "adapter" / "adapter_config.json").read_text())
    tables = ["embed_tokens", "lm_head"]
    rows = {
        name: value
        for name, value in load_file(tuned / "adapter" / WEIGHTS).items()
        if "trainable_tokens_delta" in name
    }
    assert all(value.shape[0] == 2 for value in rows.values())
    ids = [256, 257]
    assert told["trainable_token_indices"] == dict.fromkeys(
        tables[: len(rows)] if len(rows) > 1 else ["wte"], ids
    )
    # PEFT has the same logits, once its base has rows for them.
    net = transformers.AutoModelForCausalLM.from_pretrained(base / "model")
    old = net.get_input_embeddings().weight.detach().numpy().copy()
    net.resize_token_embeddings(258, mean_resizing=False)
    theirs = peft.PeftModel.from_pretrained(net, tuned / "adapter")
    tokens = torch.tensor([[*b"def one", 256, *b" 1", 257, 256]])
    done = eisbach("export", tuned, "--output", tmp_path / "merged")
    assert done.returncode == 0, done.stderr
    merged = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "merged"
    )
    with torch.no_grad():
        wanted = theirs.eval()(tokens).logits.numpy()
        got = merged.eval()(tokens).logits.numpy()
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    table = merged.get_input_embeddings().weight.detach().numpy()
    np.testing.assert_array_equal(table[:256], old)
    mean = old.astype(np.float64).mean(0)
    assert np.abs(table[256] - mean).max() > 1e-3  # the one that was learnt
    read = transformers.AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert read("a return<|robot|>")["input_ids"] == [97, 32, 256, 257]
    # A checkpoint of it, and going on from there.
    done = eisbach("export", f"{tuned}@3", "--output", tmp_path / "early")
    assert done.returncode == 0, done.stderr
    done = eisbach("sample", tuned, "--prompt", "def return", "--tokens", "4")
    assert done.returncode == 0, done.stderr
    before = (tuned / "adapter" / WEIGHTS).read_bytes()
    shutil.rmtree(tuned / "adapter")
    done = eisbach("train", "--resume", tuned / "checkpoints" / "step-3")
    assert done.returncode == 0, done.stderr
    assert (tuned / "adapter" / WEIGHTS).read_bytes() == before
    # The folder alone, without its run, and begun with by another.
    alone = tmp_path / "alone"
    shutil.copytree(tuned / "adapter", alone)
    done = eisbach("export", alone, "--output", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    same = load_file(tmp_path / "again" / "model.safetensors")
    far = tmp_path / "far"
    shutil.copytree(alone, far)
    told["trainable_token_indices"] = {
        name: [256, 2**30] for name in told["trainable_token_indices"]
    }
    (far / "adapter_config.json").write_text(json.dumps(told))
    done = eisbach("export", far, "--output", tmp_path / "none")
    assert "has 1073741824, and the model has 256 rows" in done.stderr
    for name, value in load_file(
        tmp_path / "merged" / "model.safetensors"
    ).items():
        np.testing.assert_array_equal(same[name], value)
