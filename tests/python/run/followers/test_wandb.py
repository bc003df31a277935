from eisbach.run.followers import make
from eisbach.run.followers.follow import follow


def test_a_run_goes_on_under_its_name(folder, told):
    follow(folder, make("wandb", folder), lambda _: True)
    first = told()
    kind, project, name, key, layers = first[0]
    assert (kind, project, name, layers) == ("run", "eisbach", "a", 2)
    assert ["log", {"step": 1, "train/loss": 3.0, "train/skipped": 0}] in first
    assert ["log", {"step": 2, "validation/loss": 2.5}] in first
    follow(folder, make("wandb", folder), lambda _: True)
    assert told()[len(first) :] == [["run", "eisbach", "a", key, 2], ["end"]]
