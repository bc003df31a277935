import os

import pytest

from eisbach.config import ConfigError, load_config

BOMB = "".join(
    f"x-{i}: &a{i} [{', '.join([f'*a{i - 1}' if i else '1'] * 9)}]\n"
    for i in range(9)
)


@pytest.fixture
def write(tmp_path):
    def write(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    return write


def problem(path):
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    (found,) = caught.value.problems
    return found


def test_a_file_builds_on_others(write):
    bottom = write(
        "deep/bottom.yaml",
        "model: {layers: 2, heads: 2}\ntrain: {steps: 7}\nrun: {seed: 1}\n",
    )
    middle = write(
        "deep/middle.yaml",
        "base: bottom.yaml\nmodel:\n  layers: 3\ntrain:\noptimizer: {lr: 1}\n",
    )
    top = write("top.yaml", "run: {seed: 2}\nbase: deep/middle.yaml\n")
    config = load_config(top, ["run.name=a"])
    assert (config.model.layers, config.model.heads) == (3, 2)
    assert (config.run.seed, config.train.steps) == (2, 7)
    assert config.origin("model.heads") == f"{bottom}:1"
    assert config.origin("model.layers") == f"{middle}:3"
    assert config.origin("train.steps") == f"{bottom}:2"
    assert config.origin("run.seed") == f"{top}:1"
    assert config.origin("run.name") == "command line"
    assert config.origin("model.hidden") == "default"


def test_a_wrong_key_of_a_base_is_named_there(write):
    base = write("a.yaml", "model:\n  layer: 3\n")
    found = problem(write("b.yaml", "base: a.yaml\nmodel: {heads: 2}\n"))
    assert found.origin == f"{base}:2"
    assert found.key == "model.layer"


def test_a_base_that_leads_back_is_an_error(write):
    write("a.yaml", "base: b.yaml\n")
    write("b.yaml", "run: {seed: 1}\nbase: c.yaml\n")
    path = write("c.yaml", "base: a.yaml\n")
    found = problem(path)
    assert found.key == "base"
    assert found.origin.endswith("b.yaml:2")
    assert "c.yaml is among the files that build on it" in found.message
    assert problem(write("d.yaml", "base: d.yaml\n")).key == "base"


@pytest.mark.parametrize(
    ("base", "part"),
    [
        ("nowhere.yaml", "nowhere.yaml: cannot read: No such file"),
        ("[a.yaml, b.yaml]", "must be the path of a file"),
        ("", "must be the path of a file"),
        (".", "is a folder"),
    ],
)
def test_a_base_that_is_none_is_named(write, base, part):
    path = write("a.yaml", f"run: {{seed: 1}}\nbase: {base}\n")
    found = problem(path)
    assert (found.origin, found.key) == (f"{path}:2", "base")
    assert part in found.message


def test_anchors_have_a_place_and_merge(write):
    path = write(
        "a.yaml",
        "x-small: &small {layers: 2, hidden: 64}\n"
        "x-flat: &flat\n  layers: 1\n  context: 16\n"
        "model:\n  <<: [*small, *flat]\n  hidden: 32\n",
    )
    config = load_config(path)
    assert (config.model.layers, config.model.hidden) == (2, 32)
    assert config.model.context == 16
    assert config.origin("model.layers") == f"{path}:1"
    assert config.origin("model.context") == f"{path}:4"
    assert config.origin("model.hidden") == f"{path}:7"


def test_merging_what_is_no_mapping_is_an_error(write):
    path = write("a.yaml", "x-a: &a 3\nmodel:\n  <<: *a\n")
    assert "a mapping or a list of them" in problem(path).message


def test_aliases_that_stand_for_millions_are_refused_at_once(write):
    path = write("a.yaml", BOMB)
    found = problem(path)  # reading all of it would take hours
    assert "more than 20,000 values" in found.message
    assert found.origin.startswith(path)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[" * 5000, "nested in more than 40"),
        ("- " * 5000, "nested in more than 40"),
        ("a: " + "[" * 41 + "]" * 41, "nested in more than 40"),
        ("a: " + "x" * 300_000, "longer than the 262,144 bytes"),
        ("? {a: b}\n: 3\n", "a key is a word"),
    ],
    ids=["lists", "items", "closed", "long", "mapping-as-key"],
)
def test_what_no_configuration_can_be_is_refused(write, text, part):
    assert part in problem(write("a.yaml", text)).message


def test_a_pipe_is_not_waited_for(tmp_path):
    path = tmp_path / "pipe.yaml"
    os.mkfifo(path)
    assert "is a FIFO, not a regular file" in problem(path).message


def test_a_byte_order_mark_is_no_error(write):
    assert load_config(write("a.yaml", "\ufeffrun: {seed: 5}")).run.seed == 5
