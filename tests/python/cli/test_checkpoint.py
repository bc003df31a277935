import json
import shutil

import numpy as np
import pytest
import safetensors.numpy
import transformers


@pytest.fixture(scope="module")
def folder(trainer):
    """A run on two ranks that share each layer."""
    done, folder = trainer("checkpoint.every_steps=2", "train.steps=4")(
        "divided", "parallel.tensor=2", "optimizer.warmup_steps=1", ranks=2
    )
    assert not done.returncode, done.stderr
    return folder


@pytest.fixture(scope="module")
def checkpoint(eisbach):
    """Runs `eisbach checkpoint`, which must end with a status."""

    def checkpoint(*arguments, status=0):
        done = eisbach("checkpoint", *arguments)
        assert done.returncode == status, done.stdout + done.stderr
        assert status or not done.stderr
        return done.stdout or done.stderr

    return checkpoint


@pytest.mark.mpi
def test_what_a_run_has(checkpoint, folder):
    rows = json.loads(checkpoint("ls", folder, "--json"))
    assert [(row["step"], row["state"]) for row in rows] == [
        (2, "complete"),
        (4, "complete"),
    ]
    assert rows[1]["layout"]["tensor"] == 2
    assert rows[1]["validation_loss"] > 0
    lines = checkpoint("ls", folder).splitlines()
    assert len(lines) == 3
    assert "p1 d1 t2" in lines[1]
    several = checkpoint("ls", f"{folder}@2", folder).splitlines()
    assert [several[0], several[3]] == [f"{folder}@2:", f"{folder}:"]
    assert len(several) == 7
    told = json.loads(checkpoint("show", f"{folder}@2", "--json", "--tensors"))
    assert (told["step"], told["state"]["samples"]) == (2, 16)
    assert len(told["files"]) == 2
    assert any(len(one["boxes"]) == 2 for one in told["tensors"])
    assert "config:\n" in checkpoint("show", folder)
    assert "no checkpoint of step 3; nearest that works: 2 or 4" in checkpoint(
        "show", f"{folder}@3", status=1
    )


@pytest.mark.mpi
def test_damage_has_a_name_and_a_status(checkpoint, folder, tmp_path):
    assert checkpoint("verify", folder).count(": sound, ") == 2
    copy = shutil.copytree(folder / "checkpoints", tmp_path / "copy")
    told = json.loads((copy / "step-00000002" / "manifest.json").read_text())
    file = copy / "step-00000002" / told["files"][1]["name"]
    data = bytearray(file.read_bytes())
    data[-4:] = np.float32(np.nan).tobytes()
    file.write_bytes(data)
    text = checkpoint("verify", copy, status=1)
    assert f"{copy}/step-00000002: DAMAGED\n" in text
    assert f"{file} is damaged: its xxh64 is" in text
    assert f'{file}: tensor "' in text
    assert f"{copy}/step-00000004: sound" in text
    found = json.loads(checkpoint("verify", copy, "--json", status=1))
    assert [len(one["faults"]) for one in found] == [2, 0]


@pytest.mark.mpi
def test_differences(checkpoint, folder):
    same = checkpoint("diff", folder, f"{folder}@4")
    assert "tensors are equal bit for bit" in same
    text = checkpoint("diff", f"{folder}@2", folder, status=1)
    assert "step: 2 in A, 4 in B" in text
    assert "embedding.token.weight" in text
    assert "of 108 tensors differ" in text
    found = json.loads(
        checkpoint("diff", f"{folder}@2", folder, "--json", status=1)
    )
    assert not found["equal"]
    assert found["tensors"][0]["max_absolute"] > 0


@pytest.mark.mpi
def test_an_export_says_what_transformers_does(checkpoint, eisbach, folder):
    made = folder / "for-transformers"
    checkpoint("export", f"{folder}@2", "--output", made)
    prompt, count = "def main(", 8
    tokens = transformers.AutoTokenizer.from_pretrained(made)
    net = transformers.AutoModelForCausalLM.from_pretrained(made)
    ids = tokens(prompt, return_tensors="pt").input_ids
    assert ids.tolist() == [list(prompt.encode())]
    theirs = net.generate(
        ids, do_sample=False, max_new_tokens=count, min_new_tokens=count
    )
    options = ("--prompt", prompt, "--temperature", "0", "--tokens", count)
    done = eisbach("sample", made, *options)
    assert not done.returncode, done.stderr
    ours = done.stdout.rstrip("\n")
    assert ours == bytes(theirs[0].tolist()).decode(errors="replace").rstrip(
        "\n"
    )


@pytest.mark.mpi
def test_a_model_goes_out_and_comes_back(checkpoint, eisbach, folder, tmp_path):
    made = folder / "model-step-2"
    assert str(made) in checkpoint("export", f"{folder}@2")
    run = tmp_path / "runs" / "base"
    arguments = ("import", made, "--config", "configs/tiny.yaml", "--output")
    assert f"--resume {run}" in checkpoint(*arguments, run, "train.steps=2")
    again = tmp_path / "again"
    checkpoint("export", run, "--output", again)
    ours, theirs = (
        safetensors.numpy.load_file(path / "model.safetensors")
        for path in (made, again)
    )
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(theirs[name], value, err_msg=name)
    done = eisbach("train", "--resume", run, ranks=2)
    assert not done.returncode, done.stderr
    steps = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in steps] == [1, 2]
    other = tmp_path / "other"
    text = checkpoint(*arguments, other, "model.layers=3", status=1)
    assert f"model.layers=3, and {made} has 2" in text
    assert not other.exists()
    (made / "config.json").write_text('{"model_type": "bert"}')
    text = checkpoint(*arguments, other, status=1)
    assert "model_type='bert' is none of " in text
