import json
import sys

import pytest

from eisbach.data.chat_template import (
    ChatTemplate,
    TemplateRefuses,
    load_template,
    template_text,
)

TALK = [{"role": "user", "content": "<b>ü</b>"}]


def render(text, **tokens):
    return ChatTemplate(text, tokens=tokens).render(TALK)


def test_rendered_as_transformers_does():
    transformers = pytest.importorskip("transformers.utils.chat_template_utils")
    text = """
    {%- for m in messages %}
        {%- if m.role == 'x' %}{% continue %}{% endif %}
        {% generation %}
    {{ m | tojson }}{{ m.content | tojson(indent=2) }}
        {% endgeneration %}
        {% break %}
    {%- endfor %}
{{ bos_token }}{{ strftime_now("%Y") }}{{ tools is none }}{{ pad_token }}
"""
    theirs, _ = transformers.render_jinja_template(
        [TALK], chat_template=text, bos_token="<s>"
    )
    assert render(text, bos_token="<s>") == theirs[0]


def test_a_template_can_do_no_harm():
    for text in (
        "{{ messages.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{% include '/etc/passwd' %}",
    ):
        with pytest.raises(TemplateRefuses):
            render(text)


def test_refusals_say_why():
    with pytest.raises(TemplateRefuses, match="no system"):
        render("{{ raise_exception('no system') }}")
    with pytest.raises(ValueError, match=r"no chat template: .*endfor"):
        ChatTemplate("{% for m in messages %}")


def test_the_library_may_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ValueError, match=r"pip install 'eisbach\[chat\]'"):
        ChatTemplate("x")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"added_tokens": [{"id": 7, "content": "<stop>"}]})
    )
    return tmp_path


def configure(folder, **described):
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(described))
    return path


def test_the_file_wins(folder):
    configure(
        folder,
        chat_template="config",
        bos_token="<s>",
        eos_token={"content": "</s>"},
        unk_token=None,
    )
    (folder / "generation_config.json").write_text('{"eos_token_id": [7, 9]}')
    for name in ("", "tokenizer.json"):
        found = load_template("auto", str(folder / name))
        assert found.render(TALK) == "config"
        assert found.tokens == {"bos_token": "<s>", "eos_token": "</s>"}
        assert found.ends == ("</s>", "<stop>")
    (folder / "chat_template.jinja").write_text("file")
    assert load_template("auto", str(folder)).render(TALK) == "file"
    assert template_text("auto", str(folder)) == "file"
    assert load_template("auto", str(folder)).digest != found.digest


def test_lists_and_templates_for_tools(folder):
    path = configure(
        folder,
        chat_template=[
            {"name": "default", "template": "d"},
            {"name": "tool_use", "template": "t"},
        ],
    )
    found = load_template("auto", str(folder))
    assert found.render(TALK) == "d"
    assert found.render(TALK, tools=[{"name": "f"}]) == "t"
    assert load_template(str(path), "bytes").render(TALK) == "d"
    configure(folder, chat_template=[{"name": "x", "template": "x"}])
    with pytest.raises(ValueError, match="has the chat templates x, but no de"):
        load_template("auto", str(folder))


def test_where_there_is_none(folder):
    with pytest.raises(ValueError, match="no chat template beside it"):
        load_template("auto", "bytes")
    with pytest.raises(
        ValueError, match=r"data\.template=nowhere: there is no"
    ):
        load_template("nowhere", str(folder))
    assert template_text("auto", "bytes") is None
    found = load_template("chatml", "bytes")
    assert found.render(TALK, add_generation_prompt=True) == (
        "<|im_start|>user\n<b>ü</b><|im_end|>\n<|im_start|>assistant\n"
    )
    assert found.ends == ("<|im_end|>",)
