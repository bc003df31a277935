import json
import time

import pytest

from eisbach.run.folder import RunFolder
from eisbach.run.picture import Picture


@pytest.fixture
def folder(tmp_path):
    text = "".join(
        json.dumps({"step": i, "loss": 3 / i, "learning_rate": 1.0}) + "\n"
        for i in range(1, 9)
    )
    (tmp_path / "metrics.jsonl").write_text(text)
    return RunFolder(tmp_path)


def wait_for(picture, what):
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline
        picture.step()
        time.sleep(0.05)


def test_it_is_drawn_while_the_run_goes(folder):
    picture = Picture(folder, first_seconds=0)
    try:
        wait_for(picture, folder.plot.exists)
        assert folder.plot.read_bytes().startswith(b"\x89PNG")
        folder.plot.unlink()
        wait_for(picture, folder.plot.exists)
        while not picture._painter:  # one that is at work
            picture.step()
    finally:
        picture.close()
        picture.close()
    names = {path.name for path in folder.path.iterdir()}
    assert names == {"loss.png", "metrics.jsonl"}


def test_nothing_is_drawn_before_its_time(folder):
    picture = Picture(folder)
    picture.step()
    picture.close()
    assert [p.name for p in folder.path.iterdir()] == ["metrics.jsonl"]


def test_what_cannot_be_drawn_is_told_by_a_later_step(folder):
    folder.plot.mkdir()
    picture = Picture(folder, first_seconds=0)
    try:
        with pytest.raises(RuntimeError, match="Is a directory"):
            wait_for(picture, lambda: False)
    finally:
        picture.close()
