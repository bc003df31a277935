def test_a_plan_is_printed(eisbach):
    done = eisbach(
        "plan", "configs/llama_bytes.yaml", "--hardware", "gb200-nvl72",
        "--gpus", "4", "--rows", "2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "at most 4 devices of GB200 NVL72" in done.stdout
    assert "parallel:" in done.stdout


def test_what_is_wrong_is_said(eisbach):
    done = eisbach(
        "plan", "configs/llama_bytes.yaml", "--hardware", "gb20",
        "--gpus", "4",
    )  # fmt: skip
    assert done.returncode != 0
    assert "did you mean gb200-nvl72?" in done.stderr
    done = eisbach(
        "plan", "configs/llama_bytes.yaml", "parallel.tensor=7",
        "--hardware", "dgx-h100", "--gpus", "7",
    )  # fmt: skip
    assert done.returncode != 0
    assert "tensor=7" in done.stderr


def test_the_machine_and_its_size_are_asked_for(eisbach):
    done = eisbach("plan", "configs/llama_bytes.yaml")
    assert done.returncode == 2
    assert "--hardware" in done.stderr
