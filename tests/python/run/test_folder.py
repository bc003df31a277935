import os
import shutil

import pytest

from eisbach.config import load_config, make_config
from eisbach.files import write_atomically
from eisbach.run.folder import RunFolder, check_home, read_lines
from eisbach.run.held import LostError
from eisbach.run.parent import Parent, write_parent


def test_names_are_never_taken_twice(tmp_path):
    names = [RunFolder.create(tmp_path / "runs", "a").path for _ in range(3)]
    assert [p.name for p in names] == ["a", "a-2", "a-3"]
    names[1].rmdir()
    assert RunFolder.create(tmp_path / "runs", "a").path.name == "a-2"


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(ValueError, match=r"runs: .*\(run\.dir\)"):
        RunFolder.create(tmp_path / "runs", "a")


def test_the_place_is_checked_before_it_is_made(tmp_path, monkeypatch):
    check_home(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file is no folder \(run\.dir\)"):
        check_home(tmp_path / "file" / "a")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValueError, match=rf"{tmp_path} cannot be written"):
        check_home(tmp_path / "a")


def test_open_wants_a_run(tmp_path):
    with pytest.raises(ValueError, match="no run folder"):
        RunFolder.open(tmp_path)
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(ValueError, match=r"config\.yaml: is empty"):
        RunFolder.open(tmp_path)
    (tmp_path / "config.yaml").write_text("run: {}\n...\n")
    assert RunFolder.open(tmp_path).path == tmp_path


def test_lines_cut_off_by_a_crash_are_left_out(tmp_path):
    file = tmp_path / "a.jsonl"
    assert read_lines(file) == []
    file.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert read_lines(file) == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("/tmp/x", "tmp-x"),
        ("../x", "x"),
        ("..", "run"),
        (".", "run"),
        ("a/b", "a-b"),
        ("a\0b", "a-b"),
    ],
)
def test_a_name_stays_inside(tmp_path, name, nearest):
    with pytest.raises(ValueError, match=rf"works: {nearest} \(run\.name\)"):
        RunFolder.create(tmp_path / "runs", name)
    assert not list(tmp_path.iterdir())
    RunFolder.create(tmp_path / "runs", nearest)


def test_the_home_folder_can_be_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunFolder.create("~/runs", "a").path == tmp_path / "runs" / "a"


def test_a_configuration_that_was_cut_is_not_believed(tmp_path):
    folder = RunFolder.create(tmp_path, "a")
    folder.write_config(make_config(optimizer={"lr": 0.5}))
    whole = folder.config.read_text()
    assert load_config(RunFolder.open(folder.path).config).optimizer.lr == 0.5
    for cut in range(1, len(whole) - 1, 97):
        folder.config.write_text(whole[:cut])
        with pytest.raises(ValueError, match=r"config\.yaml: was cut short"):
            RunFolder.open(folder.path)


def test_a_checkpoint_names_its_run(tmp_path, monkeypatch):
    folder = RunFolder.create(tmp_path, "a")
    folder.write_config(make_config())
    step = folder.checkpoints / "step-00000020"
    step.mkdir(parents=True)
    assert RunFolder.open(step).path == folder.path
    assert RunFolder.open(step).step == 20
    assert RunFolder.open(folder.path).step is None
    monkeypatch.chdir(folder.checkpoints)
    assert RunFolder.open("step-00000020").path == folder.path


@pytest.mark.parametrize(
    "name", ["checkpoints", "config.yaml", "metrics.jsonl", "checkpoints/x", ""]
)
def test_a_path_beside_a_run_names_the_run(tmp_path, monkeypatch, name):
    run = RunFolder.create(tmp_path / "runs", "a")
    run.write_config(make_config())
    run.checkpoints.mkdir()
    (run.checkpoints / "x").write_text("")
    run.metrics.write_text("")
    monkeypatch.chdir(tmp_path)
    given = f"runs/a/{name}" if name else "runs"
    with pytest.raises(ValueError, match=rf"{given}: .*works: runs/a$"):
        RunFolder.open(given)
    monkeypatch.chdir(run.checkpoints)
    with pytest.raises(ValueError, match=rf"works: {run.path}$"):
        RunFolder.open(".")
    with pytest.raises(ValueError, match=r"b: .*nothing of that name$"):
        RunFolder.open(tmp_path / "b")


def test_a_folder_that_is_gone_is_told(tmp_path):
    folder = RunFolder.create(tmp_path, "a")
    folder.check()  # nobody holds it
    folder.hold()
    folder.check()
    (folder.checkpoints / "step-00000020").mkdir(parents=True)
    moved = tmp_path / "b"
    folder.path.rename(moved)
    with pytest.raises(
        LostError,
        match=rf"a: the run folder was moved to {moved} while .*checkpoint is "
        rf"of step 20; to go on: --resume {moved}$",
    ):
        folder.check()
    shutil.rmtree(moved / "checkpoints")
    with pytest.raises(LostError, match="metrics are there, and no check"):
        folder.check()
    shutil.rmtree(moved)
    with pytest.raises(LostError, match=r"was deleted .*nothing that it held"):
        folder.check()
    folder.release()


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("", "was ended before its first one"),
        ("failed", "was ended before its first one"),
        ("stopped", "those that the run wrote were removed"),
        ("finished", "those that the run wrote were removed"),
        ("running", "no checkpoint yet: the run goes on"),
    ],
)
def test_a_run_without_a_checkpoint_says_why(
    tmp_path, monkeypatch, state, says
):
    monkeypatch.setattr("eisbach.run.state.standing", lambda folder: state)
    with pytest.raises(ValueError, match=says):
        run_of(tmp_path).last_checkpoint()


def run_of(tmp_path):
    folder = RunFolder.create(tmp_path, "a")
    folder.config.write_text("run: {}\n...\n")
    return folder


def save(checkpoints, *steps):
    for step in steps:
        (checkpoints / f"step-{step}").mkdir(parents=True)


def test_the_newest_is_by_number(tmp_path):
    folder = run_of(tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint\.every_minutes"):
        folder.last_checkpoint()
    save(folder.checkpoints, "9", "10", "11.unfinished", "12.deleted", "x")
    (folder.checkpoints / "step-13").write_text("a file")
    assert folder.last_checkpoint() == (10, folder.checkpoints / "step-10")


def test_the_one_that_is_named_is_taken(tmp_path):
    folder = run_of(tmp_path)
    save(folder.checkpoints, "00000009", "00000010")
    named = RunFolder.open(folder.checkpoints / "step-00000009")
    assert named.last_checkpoint() == (9, folder.checkpoints / "step-00000009")
    absent = RunFolder.open(folder.checkpoints / "step-00000008")
    with pytest.raises(ValueError, match=r"of step 8; .*works: 9$"):
        absent.last_checkpoint()


def test_a_step_can_be_named_with_the_run(tmp_path):
    folder = run_of(tmp_path)
    save(folder.checkpoints, "00000009", "00000020")
    named = RunFolder.open(f"{folder.path}@9")
    assert (named.path, named.step) == (folder.path, 9)
    with pytest.raises(ValueError, match=r"step 10; .*works: 9 or 20$"):
        RunFolder.open(f"{folder.path}@10").last_checkpoint()
    called = RunFolder.create(tmp_path, "b@20")  # a name like any other
    called.write_config(make_config())
    assert RunFolder.open(called.path).path == called.path
    assert RunFolder.open(called.path).step is None


def test_files_are_not_for_everybody(tmp_path):
    folder = RunFolder.create(tmp_path, "a")
    folder.hold()
    write_atomically(folder.config, "1")
    folder.release()
    for path in (folder.path, *folder.path.iterdir()):
        assert path.stat().st_mode & 0o027 == 0, path


def test_a_link_in_the_way_is_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "a").symlink_to(precious)
    write_atomically(tmp_path / "a", "1")
    assert not (tmp_path / "a").is_symlink()
    assert precious.read_text() == "precious"


def test_atomic_write_leaves_nothing_else(tmp_path):
    write_atomically(tmp_path / "a", "1")
    write_atomically(tmp_path / "a", "2")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "2"


def test_a_name_has_a_length_that_a_folder_can_have(tmp_path):
    with pytest.raises(
        ValueError, match=rf"242 bytes .* works: {'ü' * 120} \(run\.name\)"
    ):
        RunFolder.create(tmp_path, "ü" * 121)
    RunFolder.create(tmp_path, "ü" * 120)
    assert RunFolder.create(tmp_path, "ü" * 120).path.name.endswith("ü-2")


def test_the_last_run_of_a_name_is_found(tmp_path):
    def make(name):
        folder = RunFolder.create(tmp_path, name)
        folder.write_config(make_config(run={"name": name}))
        return folder

    assert RunFolder.last(tmp_path / "nowhere", "a") is None
    assert RunFolder.last(tmp_path, "a") is None
    make("b")
    make("b-1")
    assert RunFolder.last(tmp_path, "b").path.name == "b"
    folders = [make("a") for _ in range(11)]
    assert folders[-1].path.name == "a-11"
    make("a-12")  # a name of its own
    make("aa")
    RunFolder.create(tmp_path, "a-13")  # has no configuration
    assert RunFolder.last(tmp_path, "a").path == folders[-1].path
    assert RunFolder.last(tmp_path, "a.") is None


def test_the_last_run_has_the_same_parent(tmp_path):
    def make(parent):
        folder = RunFolder.create(tmp_path, "a")
        if parent:
            write_parent(folder.parent_file, parent)
        folder.write_config(make_config(run={"name": "a"}))
        return folder

    plain = make(None)
    other = tmp_path / "other"
    first = make(Parent(str(other), 10, "0123456789abcdef"))
    second = make(Parent(str(other), 20, "0123456789abcdef"))
    assert "# Forked from " in second.config.read_text()
    assert load_config(second.config).run.name == "a"

    def last(fork):
        found = RunFolder.last(tmp_path, "a", fork=fork)
        return found and found.path

    assert last(None) == plain.path
    assert last(RunFolder.named(other)) == second.path
    assert last(RunFolder.named(f"{other}@10")) == first.path
    assert last(RunFolder.named(f"{other}@11")) is None
    assert last(plain) is None
    second.parent_file.write_text("{}")
    with pytest.raises(ValueError, match=r"parent\.json: is damaged"):
        last(RunFolder.named(other))
