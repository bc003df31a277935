import pytest

from eisbach.run.folder import RunFolder, read_lines, write_atomically


def test_names_are_never_taken_twice(tmp_path):
    names = [RunFolder.create(tmp_path / "runs", "a").path for _ in range(3)]
    assert [p.name for p in names] == ["a", "a-2", "a-3"]
    names[1].rmdir()
    assert RunFolder.create(tmp_path / "runs", "a").path.name == "a-2"


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(ValueError, match=r"runs: .*\(run\.dir\)"):
        RunFolder.create(tmp_path / "runs", "a")


def test_open_wants_a_run(tmp_path):
    with pytest.raises(ValueError, match="no run folder"):
        RunFolder.open(tmp_path)
    (tmp_path / "config.yaml").write_text("")
    assert RunFolder.open(tmp_path).path == tmp_path


def test_last_checkpoint_is_by_number(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(ValueError, match=r"train\.save_every"):
        folder.last_checkpoint()
    for name in ("step-9", "step-10", ".step-11.tmp", "step-x"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert folder.last_checkpoint() == (10, folder.checkpoints / "step-10")


def test_lines_cut_off_by_a_crash_are_left_out(tmp_path):
    file = tmp_path / "a.jsonl"
    assert read_lines(file) == []
    file.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert read_lines(file) == [{"step": 1}, {"step": 2}]


def test_atomic_write_leaves_nothing_else(tmp_path):
    write_atomically(tmp_path / "a", "1")
    write_atomically(tmp_path / "a", "2")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "2"
