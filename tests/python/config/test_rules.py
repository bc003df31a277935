import pytest

from eisbach.config.root import schema
from eisbach.config.rules import at, rule


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("run", "followers"), "a list of (`mlflow` or `wandb`)"),
        (("data", "train"), "`auto` or text or a list of ({path, weight})"),
        (
            ("optimizer", "betas"),
            "a list of 2 x (a number >= 0 and < 1)",
        ),
    ],
)
def test_a_list_has_its_length_where_there_is_one(path, words):
    assert rule(at(path, schema()), schema()) == words
