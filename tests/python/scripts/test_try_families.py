import importlib
import sys

import pytest


@pytest.fixture
def try_families(repo, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(repo / "scripts"), *sys.path])
    return importlib.import_module("try_families")


def test_what_is_tried_is_right(try_families, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["try_families.py", "--only", "Gemma 2", "--markdown"]
    )
    assert try_families.main() == 0
    assert capsys.readouterr().out.splitlines() == [
        "| model | import | logits | gradient | 20 steps | export |",
        "| --- | --- | --- | --- | --- | --- |",
        "| Gemma 2 | yes | yes | yes | yes | yes |",
    ]


def test_what_is_wrong_is_told(try_families, tmp_path, monkeypatch):
    numbers = importlib.import_module("families.numbers")
    case = try_families.CASES[0]
    tried = numbers.Numbers(case, tmp_path)
    loaded = numbers.loaded

    def damaged(folder):
        engine, model = loaded(folder)
        name = "blocks.1.attention.value.weight"
        value = engine.gather()[name] * 1.5
        engine.scatter({**engine.gather(), name: value})
        return engine, model

    monkeypatch.setattr(numbers, "loaded", damaged)
    result_of = try_families.result_of
    found = [
        result_of(trial)
        for trial in (tried.arrives, tried.logits, tried.gradient, tried.steps)
    ]
    assert [one.what for one in found] == ["NO"] * 4
    assert "c_attn" in found[0].why


def test_a_table_has_reasons_below(try_families):
    results = importlib.import_module("families.results")

    def refused():
        raise results.Refused("not there")

    def apart():
        raise ValueError("1 is not 2\n\nat all")

    result = try_families.result_of
    found = {
        "one": {"a": result(refused), "b": result(apart)},
        "other": {"a": result(refused), "b": result(lambda: None)},
    }
    assert list(try_families.table(found)) == [
        "model  a            b",
        "one    refused (1)  NO (2)",
        "other  refused (1)  yes",
        "",
        "1. not there",
        "2. 1 is not 2 at all",
    ]


def test_all_models_are_in_the_documentation(try_families, repo):
    page = (repo / "docs" / "models.md").read_text()
    for case in try_families.CASES:
        assert f"\n| {case.name} | yes | yes | yes | yes | yes |" in page
