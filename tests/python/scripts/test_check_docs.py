import importlib
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# Those run commands, not a few.
SLOW = {"getting-started.md", "profiling.md", "python-api.md"}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page.name in SLOW else ())
        for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    ],
    ids=lambda page: page.stem,
)
def test_the_code_of_a_page_runs(launch, page):
    command, environment, cwd = launch("scripts/check_docs.py", page)
    done = subprocess.run(
        command,
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fine" in done.stdout


@pytest.fixture
def check_docs(repo, monkeypatch):
    monkeypatch.syspath_prepend(str(repo / "scripts"))
    return importlib.import_module("check_docs")


@pytest.fixture
def check(check_docs, tmp_path, monkeypatch):
    """What is wrong with a page, without the page's name."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setattr(check_docs, "ROOT", tmp_path)
    monkeypatch.chdir(folder)

    def check(*parts):
        page = tmp_path / "page.md"
        page.write_text("# Page\n\n" + "\n".join(parts))
        found = check_docs.Page(page, folder).check()
        return [problem.removeprefix("page.md:") for problem in found]

    return check


def test_python_has_one_namespace_a_page(check):
    good = ["```python", "x = 1", "```", "text", "```python", "x + 1", "```"]
    assert check(*good) == []
    good[5] = "y = x\nx + z"
    (problem,) = check(*good)
    assert problem == "9: NameError: name 'z' is not defined"
    (problem,) = check("```python", "a = 1", "1 +", "```")
    assert "SyntaxError" in problem


def test_yaml_is_read(check):
    assert check("```yaml", "# my.yaml", "model: {layers: 2}", "```") == []
    (problem,) = check("```yaml", "model: {layer: 2}", "```")
    assert "closest: model.layers" in problem


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("eisbach trains a.yaml", "no command 'trains'"),
        ("eisbach sample runs/a --question x", "question"),
        ("mpirun -n 8 eisbach doctor --networks", "networks"),
        ("mpirun -n 4 eisbach train missing.yaml", "missing.yaml"),
        ("mpirun -n 4 python missing.py", "missing.py"),
        ("./scripts/missing.sh", "no such program"),
        ("git clone x && rm y", "nobody knows"),
    ],
)
def test_commands_that_are_wrong(check, command, reason):
    (problem,) = check("```", command + "  # what it does", "```")
    assert problem.startswith("4: ")
    assert reason in problem


def test_layouts_are_checked_for_more_ranks_than_run(check, tmp_path):
    (tmp_path / "folder" / "a.yaml").write_text("model: {heads: 4}")
    layout = "eisbach train a.yaml parallel.pipeline=2 \\\n    parallel.tensor="
    (problem,) = check("```", f"mpirun -n 6 {layout}3", "```")
    assert "tensor=3" in problem
    assert check("```", f"mpirun -n 8 {layout}4", "```") == []


def test_output_is_no_command(check):
    assert check("```", "step 1  loss 5.5 it's", "  a table", "```") == []


def test_an_unknown_language_is_told(check):
    (problem,) = check("```rust", "x", "```")
    assert "nothing runs this language" in problem


def test_what_is_exempt_has_a_reason(check_docs):
    assert all(check_docs.EXEMPT.values())
