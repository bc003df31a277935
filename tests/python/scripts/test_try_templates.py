import importlib

import pytest


@pytest.fixture
def try_templates(repo, monkeypatch):
    monkeypatch.syspath_prepend(str(repo / "scripts"))
    return importlib.import_module("try_templates")


HEAD = "{% for m in messages %}{{ '<|' ~ m.role ~ '|>' ~ m.content }}"
TAIL = "{{ '<|end|>' }}{% endfor %}"
ASKS = "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"


def write(folder, **templates):
    for name, text in templates.items():
        (folder / f"{name}.jinja").write_text(text)


def test_right_and_refused(try_templates, tmp_path, monkeypatch, capsys):
    write(
        tmp_path,
        good=HEAD + "{{ m.tool_calls | tojson if m.tool_calls }}" + TAIL + ASKS,
        no_tools=HEAD + TAIL + ASKS,
        thinker=HEAD + TAIL + ASKS.replace("|>'", "|><think>'"),
        damaged=HEAD,
    )
    monkeypatch.setattr("sys.argv", ["try_templates.py", str(tmp_path)])
    assert try_templates.main() == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:5]}
    assert rows == {
        "good": ["right"] * 3,
        "no_tools": ["right", "right", "refused"],
        "thinker": ["refused"] * 3,
        "damaged": ["refused"] * 3,
    }
    assert lines[-1] == "4 templates: 7 refused, 5 right"


def test_the_judge_sees_what_is_wrong(try_templates):
    judge = try_templates.judge
    record = try_templates.conversations()["talk"]
    talk = try_templates.read_conversation(record, "chat", {})
    said = ["Awone said Awone.<e>", "Awtwo said Awtwo.<e>"]
    assert judge(talk, said, ["<e>"]) == ""
    for wrong in (
        said[:1],
        said[::-1],
        ["Uwone" + said[0], said[1]],
        ["Awone said Awone.", said[1]],
    ):
        assert judge(talk, wrong, ["<e>"])
