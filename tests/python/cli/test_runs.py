from pathlib import Path

import pytest

from eisbach.cli.runs import command


def test_runs_are_listed_and_drawn(eisbach, tmp_path):
    for name, lr in (("a", 0.001), ("b", 0.002)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.yaml").write_text(
            f"train: {{steps: 2}}\noptimizer: {{lr: {lr}}}\n"
        )
        (folder / "metrics.jsonl").write_text(
            '{"step": 1, "loss": 3.0}\n{"step": 2, "loss": 2.5}\n'
        )
    picture = tmp_path / "both.png"
    done = eisbach("runs", tmp_path, "--plot", picture)
    assert done.returncode == 0, done.stderr
    assert "  optimizer.lr=0.001\n" in done.stdout
    assert "  optimizer.lr=0.002\n" in done.stdout
    assert done.stdout.count("stopped         2/2  2.5000") == 2
    assert picture.read_bytes().startswith(b"\x89PNG")
    one = eisbach("runs", tmp_path / "a", tmp_path / "b")
    assert "optimizer.lr=0.002" in one.stdout


def test_a_folder_that_is_not_there_is_a_line(eisbach, tmp_path):
    done = eisbach("runs", tmp_path / "none")
    assert done.returncode == 1
    assert "there is no such folder of runs" in done.stderr


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        ("/nope/x.png", "there is no folder /nope"),
        ("x.svg", "what is written is a .png; nearest that works: x.png"),
    ],
)
def test_a_picture_that_cannot_be_is_told_first(picture, told, tmp_path):
    with pytest.raises(ValueError, match=rf"--plot {picture}: .*{told}"):
        command(tmp_path, plot=Path(picture))
