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


def test_why_one_cannot_be_written_is_said():
    refused = pytest.raises(ValueError, match=r"a\.png: cannot be written: no")
    with refused, output_file.written("--plot", Path("a.png")):
        raise OSError(5, "no")
