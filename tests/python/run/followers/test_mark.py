from eisbach.run.folder import RunFolder
from eisbach.run.followers.mark import Mark


def steps(*numbers):
    return [{"step": number} for number in numbers]


def test_what_was_sent_is_not_sent_again(tmp_path):
    mark = Mark(RunFolder(tmp_path), "tracker")
    assert mark.id == ""
    mark.id = "x"
    assert mark.news("train", steps(1, 2)) == steps(1, 2)
    mark.keep("train", 2)
    later = Mark(RunFolder(tmp_path), "tracker")
    assert later.id == "x"
    assert later.news("train", steps(1, 2, 3)) == steps(3)
    assert later.news("validation", steps(1)) == steps(1)


def test_a_damaged_mark_is_a_new_one(tmp_path):
    (tmp_path / "tracker.json").write_text('{"id": ')
    assert Mark(RunFolder(tmp_path), "tracker").id == ""
