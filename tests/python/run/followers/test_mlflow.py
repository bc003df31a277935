from eisbach.run.followers import make
from eisbach.run.followers.follow import follow


def test_a_run_is_told_once_however_often_it_is_followed(folder, told):
    follow(folder, make("mlflow", folder), lambda _: True)
    first = told()
    assert first[0] == ["run", "eisbach", "a"]
    assert first[1] == ["param", "r1", "model.layers", "2"]
    assert ["metric", "r1", "train/loss", 1.5, 2] in first
    assert ["metric", "r1", "validation/loss", 2.5, 2] in first
    assert first[-1] == ["end", "r1"]
    follow(folder, make("mlflow", folder), lambda _: True)
    assert told()[len(first) :] == [["end", "r1"]]
