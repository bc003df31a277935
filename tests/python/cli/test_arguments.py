import pytest

from eisbach.cli.arguments import MisuseError, load, split


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("model: {layers: 2}")
    (tmp_path / "b.yaml").write_text("")
    (tmp_path / ".hidden.yaml").write_text("")


@pytest.mark.parametrize(
    "words",
    [
        ["a.yaml", "model.heads=2", "run.seed=3"],
        ["model.heads=2", "a.yaml", "run.seed=3"],
        ["model.heads=2", "run.seed=3", "a.yaml"],
    ],
)
def test_file_and_keys_come_in_any_order(words):
    file, keys = split(words)
    assert str(file) == "a.yaml"
    assert keys == ["model.heads=2", "run.seed=3"]


def test_keys_alone_start_from_the_defaults():
    file, config = load(["model.layers=3"], command="train")
    assert file is None
    assert config.model.layers == 3


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (None, "train needs a configuration: `eisbach train FILE`"),
        (None, "here are a.yaml, b.yaml"),
        (["a.yaml", "b.yaml"], "a.yaml and b.yaml are 2 files"),
        (["gpu"], "gpu: neither a file nor section.key=value"),
        (["lr"], "lr: a key needs a value: optimizer.lr=VALUE"),
    ],
)
def test_what_means_nothing_is_told(words, part):
    with pytest.raises(MisuseError) as caught:
        load(words, command="train")
    assert part in str(caught.value)


def test_a_file_that_is_missing_is_named():
    with pytest.raises(ValueError, match=r"c\.yaml: cannot read: No such file"):
        load(["c.yaml"], command="train")


def test_a_value_may_be_longer_than_a_name():
    word = "run.name=" + "a" * 300
    assert split([word]) == (None, [word])
