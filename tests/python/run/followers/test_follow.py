import json

import pytest

from eisbach.run.followers import make
from eisbach.run.followers.follow import figures, follow


class Recorder:
    def __init__(self):
        self.sent = []

    def send(self, group, lines):
        self.sent += [(group, line["step"]) for line in lines]

    def close(self):
        self.sent.append("end")


def test_lines_are_sent_as_they_come_until_the_run_ends(folder):
    recorder = Recorder()

    def ended(_):
        if ("train", 4) in recorder.sent:
            return True
        with folder.metrics.open("a") as stream:
            stream.write(json.dumps({"step": 4, "loss": 0.5}) + "\n")
        return False

    follow(folder, recorder, ended)
    assert recorder.sent == [
        ("train", 1),
        ("train", 2),
        ("train", 3),
        ("validation", 2),
        ("train", 4),
        "end",
    ]


def test_what_comes_last_is_sent_before_the_end(folder):
    recorder = Recorder()

    def ended(_):
        with folder.metrics.open("a") as stream:
            stream.write(json.dumps({"step": 4, "loss": 0.5}) + "\n")
        return True

    follow(folder, recorder, ended)
    assert recorder.sent[-2:] == [("train", 4), "end"]


def test_figures_are_numbers_that_are_known():
    line = {"step": 3, "loss": 2, "skipped": True, "a": None, "b": "x"}
    assert figures(line) == {"loss": 2.0, "skipped": 1.0}


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_package_that_is_missing_says_how_to_get_it(
    folder, name, monkeypatch
):
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ValueError, match=rf"pip install eisbach\[{name}\]"):
        make(name, folder)
