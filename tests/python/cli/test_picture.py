from pathlib import Path

import pytest

from eisbach.cli import picture


def test_a_picture_that_can_be_written_is_let_through(tmp_path):
    picture.check("--plot", tmp_path / "a.PNG")
    with picture.written("--plot", tmp_path / "a.png"):
        pass


def test_another_kind_or_no_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"works: .*a\.png"):
        picture.check("--plot", tmp_path / "a.svg")
    with pytest.raises(ValueError, match=r"--output .* no folder"):
        picture.check("--output", tmp_path / "none" / "a.png")


def test_why_one_cannot_be_written_is_said():
    refused = pytest.raises(ValueError, match=r"a\.png: cannot be written: no")
    with refused, picture.written("--plot", Path("a.png")):
        raise OSError(5, "no")
