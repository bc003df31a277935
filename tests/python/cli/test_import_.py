import json

import pytest


@pytest.fixture
def folder(others_folder):
    return others_folder("llama")


def test_a_folder_is_told_in_a_table(eisbach, folder):
    done = eisbach("import", str(folder))
    assert done.returncode == 0, done.stderr
    rows = dict(
        line.split(None, 1) for line in done.stdout.splitlines() if line
    )
    assert rows["family"] == "llama, 55,536 parameters"
    assert "kv_heads 2, head_dim 8" in rows["sizes"]
    assert rows["weights"].startswith("21 BF16 tensors in 1 files, 0.1 MiB")
    assert rows["context"] == "64 tokens; rope_scaling none"
    assert f"model.from={folder}" in done.stdout.splitlines()[-1]


def test_what_cannot_be_read_is_named(eisbach, folder):
    path = folder / "config.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "num_hidden_layers": 3}))
    done = eisbach("import", str(folder))
    assert done.returncode == 1
    assert "has no tensor model.layers.2.input_layernorm" in done.stderr
    path.write_text(json.dumps({**values, "logit_scale": 2.0}))
    done = eisbach("import", str(folder))
    assert done.returncode == 1
    assert "logit_scale=2.0 is unknown" in done.stderr
    done = eisbach("import", str(folder / "none"))
    assert done.returncode == 1
    assert "no folder with a config.json" in done.stderr
