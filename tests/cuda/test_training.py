"""Training by the command line on emulated GPUs, against the CPU."""

import json
import os
import signal

import numpy as np
import pytest


@pytest.fixture(scope="session")
def on_the_cpu(train):
    done, folder = train("cpu", "run.device=cpu", "checkpoint.every_steps=5")
    assert not done.returncode, done.stderr
    return folder


@pytest.mark.parametrize(
    ("ranks", "layout"),
    [
        (1, ""),
        (2, "{data: 2}"),
        (2, "{tensor: 2}"),
        (4, "{tensor: 2, pipeline: 2}"),
        (8, "{tensor: 2, pipeline: 2}"),
    ],
)
def test_every_layout_lies_on_the_curve_of_the_cpu(
    train, curve, on_the_cpu, ranks, layout
):
    done, folder = train(
        f"cuda-{ranks}-{layout[1:3]}",
        "run.device=cuda",
        *([f"parallel={layout}"] if layout else []),
        ranks=ranks,
    )
    assert not done.returncode, done.stderr
    assert curve(folder) == pytest.approx(curve(on_the_cpu), rel=1e-5)
    summary = json.loads((folder / "summary.json").read_text())
    assert "cuBLASLt" in json.dumps(summary)


def test_ranks_that_look_for_the_late_one_learn_the_same(train, curve):
    folders = []
    for steps in (0, 2):
        done, folder = train(
            f"late-{steps}",
            "run.device=cuda",
            "parallel={data: 2}",
            f"fault.straggler_steps={steps}",
            ranks=2,
        )
        assert not done.returncode, done.stderr
        folders.append(folder)
    assert curve(folders[0]) == curve(folders[1])


def test_auto_takes_the_gpu_and_bf16_and_says_so(train, curve, on_the_cpu):
    done, folder = train("best", "precision.compute=auto")
    assert not done.returncode, done.stderr
    assert "run.device: cuda (GPUs seen: 8)" in done.stdout
    assert "precision.compute: bf16 (run.device: cuda)" in done.stdout
    assert curve(folder) == pytest.approx(curve(on_the_cpu), rel=2e-2)


@pytest.mark.parametrize("first", ["cpu", "cuda"])
def test_a_checkpoint_goes_on_on_the_other_device(
    train, curve, eisbach, on_the_cpu, first
):
    other = {"cpu": "cuda", "cuda": "cpu"}[first]
    done, folder = train(
        f"from-{first}",
        f"run.device={first}",
        "checkpoint.every_steps=3",
    )
    assert not done.returncode, done.stderr
    done = eisbach("train", "--resume", folder, f"run.device={other}")
    assert not done.returncode, done.stderr
    assert curve(folder)[-4:] == pytest.approx(curve(on_the_cpu)[-4:], rel=1e-5)


def test_the_exported_model_is_that_of_the_cpu(train, on_the_cpu):
    from safetensors.numpy import load_file

    done, folder = train("export", "run.device=cuda")
    assert not done.returncode, done.stderr
    got = load_file(folder / "model" / "model.safetensors")
    want = load_file(on_the_cpu / "model" / "model.safetensors")
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-3, atol=1e-5)


def test_more_ranks_than_gpus_are_refused(train, monkeypatch):
    monkeypatch.setenv("EISBACH_CUDA_DOUBLE_DEVICES", "2")
    done, _ = train("too-many", "run.device=cuda", ranks=3)
    assert done.returncode
    assert "this host has 3 ranks and 2 GPUs" in done.stderr


def test_a_gpu_that_is_full_says_so(train, monkeypatch):
    monkeypatch.setenv("EISBACH_CUDA_DOUBLE_BYTES", str(40 << 20))
    done, _ = train("full", "run.device=cuda", "model.hidden=512")
    assert done.returncode
    assert "MiB more for tensors" in done.stderr


def test_a_killed_rank_ends_the_job(start, tmp_path):
    job = start(
        "-m", "eisbach", "train", "configs/tiny.yaml", "train.steps=100000",
        "train.validate_every=0", "run.device=cuda", f"run.dir={tmp_path}",
        ranks=2,
    )  # fmt: skip
    job.wait_for(lambda: any(tmp_path.glob("*/metrics.jsonl")))
    os.kill(job.ranks()[1], signal.SIGKILL)
    assert "rank 1" in job.check_failure()


def test_the_doctor_sees_the_gpus(eisbach):
    done = eisbach("doctor")
    assert "8 seen by this process" in done.stdout
