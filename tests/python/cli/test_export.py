import json

import gguf
import pytest


@pytest.fixture(scope="module")
def folder(trainer):
    done, folder = trainer("checkpoint.every_steps=2", "train.steps=2")("one")
    assert not done.returncode, done.stderr
    return folder


def test_a_checkpoint_speaks_as_the_model_does(eisbach, folder):
    done = eisbach("export", folder, "--checkpoint", "2")
    assert not done.returncode, done.stderr
    made = folder / "model-step-2"
    assert str(made) in done.stdout
    for name in ("config.json", "tokenizer.json", "generation_config.json"):
        assert (made / name).read_bytes() == (
            folder / "model" / name
        ).read_bytes()
    arguments = ["--prompt", "def ", "--temperature", "0", "--tokens", "8"]
    texts = {
        eisbach("sample", path, *arguments).stdout for path in (folder, made)
    }
    assert len(texts) == 1


def test_types_of_a_folder(eisbach, folder, tmp_path):
    output = tmp_path / "half"
    done = eisbach("export", folder, "--output", output, "--dtype", "bf16")
    assert not done.returncode, done.stderr
    described = json.loads((output / "config.json").read_text())
    assert described["dtype"] == described["torch_dtype"] == "bfloat16"
    whole = folder / "model" / "model.safetensors"
    half = output / "model.safetensors"
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    done = eisbach("sample", output, "--prompt", "def ", "--tokens", "2")
    assert not done.returncode, done.stderr


def test_gguf(eisbach, folder):
    done = eisbach("export", folder, "--format", "gguf", "--dtype", "f16")
    assert not done.returncode, done.stderr
    reader = gguf.GGUFReader(folder / "model.gguf")
    assert reader.fields["general.architecture"].contents() == "gpt2"


def test_nothing_is_replaced_unasked(eisbach, folder):
    before = (folder / "model" / "config.json").stat()
    done = eisbach("export", folder)
    assert done.returncode == 1
    assert f"{folder}/model exists" in done.stderr
    after = (folder / "model" / "config.json").stat()
    assert after.st_mtime_ns == before.st_mtime_ns
    assert not eisbach("export", folder, "--force").returncode


def test_nothing_is_for_everybody(eisbach, folder, tmp_path):
    """All that a run, its exports and a preparation write, and one rule."""
    text = tmp_path / "text.txt"
    text.write_text("a b c\n" * 99)
    output = tmp_path / "made" / "data"
    done = eisbach("data", "prepare", text, "--output", output)
    assert not done.returncode, done.stderr
    export = ("export", folder, "--output", tmp_path / "made" / "model.gguf")
    done = eisbach(*export, "--format", "gguf")
    assert not done.returncode, done.stderr
    for top in (folder, tmp_path / "made"):
        for path in (top, *top.rglob("*")):
            mode = path.stat().st_mode & 0o777
            assert mode & ~(0o750 if path.is_dir() else 0o640) == 0, path
    assert (folder / "model" / "config.json").exists()
    assert (folder / "checkpoints").is_dir()


def test_a_model_does_not_replace_a_run(eisbach, folder):
    before = sorted(path.name for path in folder.iterdir())
    done = eisbach("export", folder, "--output", folder, "--force")
    assert done.returncode == 1
    assert f"{folder} is a run folder" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize("format", ["hf", "gguf"])
def test_a_model_does_not_replace_a_folder_of_others(
    eisbach, folder, tmp_path, format
):
    (tmp_path / "notes.txt").write_text("mine")
    output = ("--output", tmp_path, "--force", "--format", format)
    done = eisbach("export", folder, *output)
    assert done.returncode == 1
    assert f"{tmp_path} is a folder that holds other things" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
