import subprocess
import sys

import pytest

GOOD = {
    "csrc/core/a.cc": "",
    "csrc/core/README.md": "What lives here.",
    "csrc/core/cpu/b.cc": "",
    "tests/cpp/core/a_test.cc": "namespace eisbach::core::a_test {\n",
    "csrc/bindings/b.cc": "",
    "csrc/bindings/README.md": "What lives here.",
    "tests/python/bindings/test_b.py": "",
    "python/eisbach/__init__.py": "",
    "python/eisbach/config/__init__.py": "",
    "python/eisbach/config/load.py": "",
    "tests/python/config/test_load.py": "",
    "scripts/tool.py": "",
    "tests/python/scripts/test_tool.py": "",
}


@pytest.fixture
def check(repo, tmp_path):
    def check(changes: dict[str, str | None]) -> list[str]:
        for name, text in {**GOOD, **changes}.items():
            if text is not None:
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        done = subprocess.run(
            [sys.executable, repo / "scripts" / "check_mirror.py", tmp_path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.stderr
        good = done.stdout == "mirror: all in place\n"
        assert done.returncode == int(not good)
        return [] if good else done.stdout.splitlines()

    return check


def test_a_tree_in_order(check):
    assert check({}) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tests/cpp/core/a_test.cc": None}, "csrc/core:1: no test"),
        ({"csrc/ops/a.cc": "", "csrc/ops/README.md": ""}, "csrc/ops:1: no"),
        ({"tests/cpp/opps/a_test.cc": ""}, "no folder csrc/opps"),
        (
            {"tests/cpp/core/a_test.cc": "namespace eisbach::core {\n"},
            "core/a_test.cc:1: no namespace eisbach::...::a_test",
        ),
        ({"csrc/core/README.md": None}, "csrc/core/README.md:1: missing"),
        ({"csrc/core/README.md": "a\n" * 81}, "at most a page"),
        ({"tests/python/config/test_load.py": None}, "eisbach/config:1: no"),
        ({"tests/python/config/test_lod.py": ""}, "no module of this name"),
        ({"tests/python/bindings/test_a.py": ""}, "no module of this name"),
        ({"tests/python/scripts/test_tool.py": None}, "scripts/tool.py:1: no"),
        ({"examples/a.py": ""}, "examples/a.py:1: no tests/python/examples"),
        ({"csrc/core/a.cc": "\n" * 501}, "501 lines, at most 500"),
    ],
)
def test_what_is_out_of_place(check, changes, reason):
    found = check(changes)
    assert any(reason in line for line in found), found
