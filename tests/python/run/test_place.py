import pytest

from eisbach.config import make_config
from eisbach.run.folder import RunFolder
from eisbach.run.place import locate, nearest, steps_in


@pytest.fixture
def run(tmp_path):
    """With checkpoints of steps 10 and 200, and what others left."""
    folder = RunFolder.create(tmp_path, "a")
    folder.write_config(make_config())
    for name in ("10", "00000200", "00000300.unfinished", "9.deleted", "x"):
        (folder.checkpoints / f"step-{name}").mkdir(parents=True)
    (folder.checkpoints / "step-00000400").write_text("no folder")
    return folder


def test_every_way_to_name_checkpoints(run, tmp_path, monkeypatch):
    steps = run.checkpoints
    newest = steps / "step-00000200"
    for path in (run.path, steps, f"{run.path}/", f"{run.path}/checkpoints/"):
        place = locate(path)
        assert place.run == run.path
        assert list(place.all()) == [10, 200]
        assert place.one() == (200, newest)
    named = (newest, f"{run.path}@200", f"{steps}@200")
    (newest / "manifest.json").write_text("{}")
    (tmp_path / "best").symlink_to(newest)
    for path in (*named, tmp_path / "best"):
        assert locate(path).all() == {200: newest}
        assert locate(path).run == run.path
    monkeypatch.chdir(steps)
    assert locate(".").one() == (200, newest)
    assert locate("step-10").one() == (10, steps / "step-10")


def test_a_folder_of_checkpoints_needs_no_run(run, tmp_path):
    kept = run.checkpoints.rename(tmp_path / "kept")
    assert locate(kept).run is None
    assert locate(kept).all().keys() == steps_in(kept).keys() == {10, 200}
    assert locate(kept / "step-10").one()[0] == 10


def test_what_is_not_there_is_told(run, tmp_path):
    with pytest.raises(ValueError, match=r"@50: .*step 50; .*: 10 or 200$"):
        locate(f"{run.path}@50").one()
    with pytest.raises(ValueError, match=r"step 201; nearest .*: 200$"):
        locate(f"{run.path}@201").all()
    with pytest.raises(ValueError, match="nowhere: there is nothing"):
        locate(tmp_path / "nowhere@3")
    with pytest.raises(ValueError, match="neither a run folder"):
        locate(tmp_path)
    empty = RunFolder.create(tmp_path, "b")
    empty.write_config(make_config())
    with pytest.raises(ValueError, match="before its first"):
        locate(empty.path).one()
    renamed = run.checkpoints / "backup"
    (run.checkpoints / "step-10").rename(renamed)
    (renamed / "manifest.json").write_text("{}")
    with pytest.raises(ValueError, match=r"called by its step.*that name"):
        locate(renamed)


def test_the_nearest_steps():
    assert nearest(5, []) == "; there is none at all"
    assert nearest(5, [1, 3]) == "; nearest that works: 3"
    assert nearest(5, [9, 7, 3]) == "; nearest that works: 3 or 7"
