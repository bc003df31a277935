import pytest

from eisbach.data.chat_template import ChatTemplate, TemplateRefuses

TALK = [{"role": "user", "content": "<b>ü</b>"}]


def render(text, **tokens):
    return ChatTemplate(text, tokens=tokens).render(TALK)


def test_rendered_as_transformers_does():
    from transformers.utils import chat_template_utils as transformers

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
