import pytest

from eisbach.checkpoint.manifest import read_manifest


def test_it_says_what_was_saved(runs, files):
    run = runs(3)
    folder = run.saved()[3]
    manifest = read_manifest(folder)
    assert manifest.step == 3
    assert manifest.layout["tensor"] == 1
    assert manifest.config["run.seed"] == 1
    assert manifest.members["state"] == {"samples": 24}
    sizes = {file.name: file.stat().st_size for file in files(folder)}
    assert manifest.sizes() == sizes


def test_a_change_is_found(runs):
    folder = runs(3).saved()[3]
    file = folder / "manifest.json"
    file.write_text(file.read_text().replace('"samples": 24', '"samples": 25'))
    with pytest.raises(ValueError, match=r"manifest\.json: was changed after"):
        read_manifest(folder)
