import json

from eisbach.checkpoint.showing import described, shown


def test_a_checkpoint_in_words(runs, files):
    folder = runs(3).saved()[3]
    text = list(shown(folder, tensors=False))
    assert text[0] == str(folder)
    assert text[1].startswith("step 3, ")
    assert "in 1 file, manifest xxh64 " in text[1]
    for line in (
        "  model.heads: 2",
        "  run.seed: 1",
        "  tensor: 1",
        "  samples: 24",
        'optimizer_state: ["m", "v"]',
    ):
        assert line in text
    (file,) = files(folder)
    size = file.stat().st_size
    assert any(
        line.startswith(f"  {file.name}: {size:,} bytes, xxh64 ")
        for line in text
    )
    assert not any(line.startswith("tensors:") for line in text)


def test_its_tensors(runs):
    folder = runs(3).saved()[3]
    text = list(shown(folder, tensors=True))
    (line,) = [t for t in text if t.startswith("  optimizer.m/embedding.token")]
    assert line.split()[1:] == ["f32", "256", "x", "16"]
    told = described(folder, tensors=True)
    assert json.loads(json.dumps(told)) == told
    assert f"tensors: {len(told['tensors'])}" in text
    names = {one["name"]: one for one in told["tensors"] if not one["part"]}
    assert names["blocks.1.mlp.up.weight"] == {
        "name": "blocks.1.mlp.up.weight",
        "part": "",
        "dtype": "f32",
        "shape": [64, 16],
        "boxes": ["[0, 64) x [0, 16)"],
        "fault": "",
    }
    assert told["step"] == 3
    assert "tensors" not in described(folder, tensors=False)
