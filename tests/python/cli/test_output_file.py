from pathlib import Path

import pytest

from eisbach.cli import output_file


def test_a_file_that_can_be_written_is_let_through(tmp_path):
    output_file.check("--plot", tmp_path / "a.PNG", ".png")
    with output_file.written("--plot", tmp_path / "a.png"):
        pass


def test_another_kind_or_no_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"works: .*a\.png"):
        output_file.check("--plot", tmp_path / "a.svg", ".png")
    with pytest.raises(ValueError, match=r"--output .* no folder"):
        output_file.check("--output", tmp_path / "none" / "a.png", ".png")
    (tmp_path / "a.html").mkdir()
    with pytest.raises(ValueError, match=r"--html .*a\.html: is a folder"):
        output_file.check("--html", tmp_path / "a.html", ".html")


def test_a_place_that_takes_no_file_is_refused_beforehand(tmp_path):
    with pytest.raises(
        ValueError, match=r"--trace /proc/a\.json: cannot be wri"
    ):
        output_file.check("--trace", Path("/proc/a.json"), ".json")
    with pytest.raises(ValueError, match=r"--json \.: is a folder; .* \.json"):
        output_file.check("--json", Path(""), ".json")
    with pytest.raises(ValueError, match=r"--json x+\.json: cannot be written"):
        output_file.check("--json", Path("x" * 999 + ".json"), ".json")
    (tmp_path / "full.json").symlink_to("/dev/full")
    with pytest.raises(ValueError, match=r"full\.json: is no regular file"):
        output_file.check("--json", tmp_path / "full.json", ".json")
    assert len(list(tmp_path.iterdir())) == 1  # nothing was left


def test_why_one_cannot_be_written_is_said():
    refused = pytest.raises(ValueError, match=r"a\.png: cannot be written: no")
    with refused, output_file.written("--plot", Path("a.png")):
        raise OSError(5, "no")
    refused = pytest.raises(ValueError, match=r"a\.png: cannot be written: why")
    with refused, output_file.written("--plot", Path("a.png")):
        raise OSError("why")  # as the core does
