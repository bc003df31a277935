import pytest


@pytest.fixture(scope="module")
def folder(eisbach, tmp_path_factory):
    parent = tmp_path_factory.mktemp("runs")
    done = eisbach(
        "train", "configs/tiny.yaml", f"run.dir={parent}", "run.name=one"
    )
    assert not done.returncode, done.stderr
    return parent / "one"


def test_a_seed_makes_a_text(eisbach, folder):
    texts = [
        eisbach("sample", folder, "--prompt", "def ", "--seed", seed).stdout
        for seed in (1, 1, 2)
    ]
    assert all(text.startswith("def ") for text in texts)
    assert texts[0] == texts[1] != texts[2]


def test_tokens_and_temperature(eisbach, folder):
    arguments = ["--prompt", "a" * 50, "--tokens", "5", "--temperature", "0"]
    texts = {
        eisbach("sample", folder, *arguments, "--seed", seed).stdout
        for seed in (1, 2)
    }
    assert len(texts) == 1
    assert len(texts.pop().removeprefix("a" * 50).removesuffix("\n")) <= 5


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["--prompt", ""], "--prompt"), (["--prompt", "a", "--top-k", "-1"], "k")],
)
def test_bad_options(eisbach, folder, arguments, reason):
    done = eisbach("sample", folder, *arguments)
    assert done.returncode != 0
    assert reason in done.stderr


def test_no_run(eisbach, tmp_path):
    done = eisbach("sample", tmp_path, "--prompt", "a")
    assert done.returncode == 1
    assert "no run folder" in done.stderr
