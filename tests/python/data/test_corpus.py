from eisbach.data.corpus import is_validation, standard_library


def test_the_library_of_this_python():
    corpus = standard_library()
    train, validation = set(corpus.train), set(corpus.validation)
    assert not train & validation
    names = {path.name for path in train | validation}
    assert {"argparse.py", "decimal.py", "typing.py"} <= names
    for path in train | validation:
        assert not {"test", "tests", "site-packages"} & set(path.parts[-4:-1])
    total = sum(p.stat().st_size for p in train | validation)
    held = sum(p.stat().st_size for p in validation)
    assert total > 5_000_000
    assert 0.01 < held / total < 0.2
    assert corpus == standard_library()


def test_only_sources_that_hold_text(tmp_path):
    for name, text in {
        "b.py": "b",
        "a/c.py": "c",
        "a/__init__.py": "",
        "a/test/d.py": "d",
        "site-packages/e.py": "e",
        "f.txt": "f",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    corpus = standard_library(tmp_path)
    names = [str(p.relative_to(tmp_path)) for p in corpus.train]
    names += [str(p.relative_to(tmp_path)) for p in corpus.validation]
    assert sorted(names) == ["a/c.py", "b.py"]
    (tmp_path / "b.py").write_text("longer")
    assert standard_library(tmp_path).digest != corpus.digest


def test_the_division_depends_on_the_name_alone():
    names = [f"module_{i}.py" for i in range(4000)]
    held = [name for name in names if is_validation(name)]
    assert 120 < len(held) < 280
    assert not any(is_validation(name, 0.0) for name in names)
    assert all(is_validation(name, 1.0) for name in names)
