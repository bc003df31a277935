import importlib
import json

import pytest

_DEFAULT = {
    "data": "1", "tensor": "1", "pipeline": "1", "context": "1",
    "schedule": "1f1b", "zero": "0", "method": "auto", "sequence": "false",
    "recompute": "none", "family": "gpt", "optimizer": "adamw",
    "terms": "false", "compute": "f32",
}  # fmt: skip


@pytest.fixture
def pairs_table(repo, monkeypatch):
    monkeypatch.syspath_prepend(str(repo / "scripts"))
    return importlib.import_module("pairs_table")


@pytest.fixture
def write(tmp_path, pairs_table):
    """Writes what GoogleTest would, and a page with a place for the table."""

    def write(*runs):
        suite = {"name": pairs_table.SUITE, "testsuite": runs}
        (tmp_path / "runs.json").write_text(json.dumps({"testsuites": [suite]}))
        (tmp_path / "page.md").write_text(
            f"before\n{pairs_table.BEGIN}old\n{pairs_table.END}after\n"
        )
        return [
            str(tmp_path / "runs.json"),
            "--page",
            str(tmp_path / "page.md"),
        ]

    return write


def _run(**choices):
    return {
        "name": "TrainLikeOneRank/x",
        "status": "RUN",
        **_DEFAULT,
        **choices,
    }


def test_cells_count_runs_that_had_both(pairs_table, write, tmp_path, run_main):
    arguments = write(
        _run(data="2", zero="3"),
        _run(data="4", zero="3", optimizer="muon"),
        _run(tensor="2", sequence="true"),
    )
    assert run_main(pairs_table, arguments) == 0
    page = (tmp_path / "page.md").read_text()
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "old" not in page
    assert "3 runs" in page
    rows = {}
    for line in page.splitlines():
        if line.startswith("| ") and line[2].isdigit():
            _, head, *cells, _ = line.split("|")
            rows[head.split(maxsplit=1)[1].strip()] = [c.strip() for c in cells]
    assert rows["zero 3"][0] == "2"
    assert rows["muon"][:3] == ["1", "", "1"]
    assert rows["sequence"].count("1") == 2  # tensor, and the family


def test_a_run_that_failed_leaves_the_page(
    pairs_table, write, tmp_path, run_main, capsys
):
    arguments = write(_run(data="2"), _run(tensor="2", failures=[{}]))
    assert run_main(pairs_table, arguments) == 1
    assert "TrainLikeOneRank/x failed" in capsys.readouterr().err
    assert "old" in (tmp_path / "page.md").read_text()


def test_without_a_run_or_a_place(pairs_table):
    with pytest.raises(ValueError, match="no run"):
        pairs_table.read('{"testsuites": []}')
    with pytest.raises(ValueError, match="no <!--"):
        pairs_table.put("page", "table")


@pytest.fixture
def run_main(monkeypatch):
    def run_main(module, arguments):
        monkeypatch.setattr("sys.argv", ["pairs_table.py", *arguments])
        return module.main()

    return run_main
