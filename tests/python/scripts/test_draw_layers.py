import importlib
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest


@pytest.fixture
def draw_layers(repo, monkeypatch):
    monkeypatch.syspath_prepend(str(repo / "scripts"))
    return importlib.import_module("draw_layers")


def test_the_picture_is_current(repo):
    done = subprocess.run(
        [sys.executable, repo / "scripts" / "draw_layers.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_rows_and_lines_follow_the_table(draw_layers):
    table = {"d": ("a", "b", "c"), "a": (), "b": ("a",), "c": ("a", "b")}
    assert draw_layers.levels(table) == [["a"], ["b"], ["c"], ["d"]]
    assert draw_layers.nearest("d", table) == ["c"]
    table["c"] = ("a",)
    assert draw_layers.levels(table) == [["a"], ["b", "c"], ["d"]]
    assert draw_layers.nearest("d", table) == ["b", "c"]


def test_every_folder_has_a_box_on_the_picture(draw_layers, repo):
    root = ET.fromstring(draw_layers.picture(repo))
    width, height = float(root.get("width")), float(root.get("height"))
    names = {
        e.text.split(" ")[0]
        for e in root.iter("{http://www.w3.org/2000/svg}text")
    }
    assert names == {p.name for p in (repo / "csrc").iterdir() if p.is_dir()}
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        x, y = float(box.get("x", 0)), float(box.get("y", 0))
        assert 0 <= x <= x + float(box.get("width")) <= width
        assert 0 <= y <= y + float(box.get("height")) <= height
