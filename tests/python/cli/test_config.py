from eisbach.config import load_config


def test_prints_values_with_their_origin(eisbach, tmp_path):
    done = eisbach("config", "configs/tiny.yaml", "model.layers=3")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(
        s.split() == ["layers:", "3", "#", "command", "line"] for s in lines
    )
    assert any("hidden: 64" in s and "configs/tiny.yaml:4" in s for s in lines)
    assert any("vocab: 256" in s and "derived" in s for s in lines)
    printed = tmp_path / "c.yaml"
    printed.write_text(done.stdout)
    assert load_config(printed).model.layers == 3


def test_a_wrong_key_ends_it(eisbach):
    done = eisbach("config", "configs/tiny.yaml", "model.layer=3")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "eisbach: error: command line: model.layer: unknown key; closest: "
        "model.layers\n"
    )


def test_a_missing_file_is_named(eisbach):
    done = eisbach("config", "configs/tinny.yaml")
    assert done.returncode == 1
    assert "configs/tinny.yaml: cannot read: No such file" in done.stderr


def test_the_schema_is_the_one_in_the_tree(eisbach, repo):
    done = eisbach("config", "--schema")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (repo / "configs" / "schema.json").read_text()


def test_without_a_file_it_prints_the_defaults(eisbach):
    done = eisbach("config")
    assert done.returncode == 0, done.stderr
    assert "name: run" in done.stdout
