import contextlib
import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eisbach.data.rules import store_tokenizer, stored_tokenizer
from eisbach.data.template_files import (
    default_template,
    has_template,
    take_template,
    template_of,
)
from eisbach.data.tokenizer import ByteTokenizer, load_tokenizer

TALK = [{"role": "user", "content": "<b>ü</b>"}]


@pytest.fixture
def folder(tmp_path, byte_level):
    """The folder of a tokenizer, whose token 2 is <|stop|>."""
    shutil.copy(byte_level, tmp_path / "tokenizer.json")
    return tmp_path


def configure(folder, **described):
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(described))
    return path


def found(folder, name="auto"):
    tokenizer = load_tokenizer(str(folder))
    take_template(tokenizer, name)
    return template_of(tokenizer)


def test_the_file_wins(folder):
    configure(
        folder,
        chat_template="config",
        bos_token="<s>",
        eos_token={"content": "</s>"},
        unk_token=None,
    )
    (folder / "generation_config.json").write_text('{"eos_token_id": [2, 9]}')
    first = found(folder)
    assert first.render(TALK) == "config"
    assert first.tokens == {"bos_token": "<s>", "eos_token": "</s>"}
    assert first.ends == ("</s>", "<|stop|>")
    (folder / "chat_template.jinja").write_text("file")
    assert found(folder).render(TALK) == "file"
    assert default_template(load_tokenizer(str(folder))) == "file"
    assert found(folder).digest != first.digest


def test_lists_and_templates_for_tools(folder):
    path = configure(
        folder,
        chat_template=[
            {"name": "default", "template": "d"},
            {"name": "tool_use", "template": "t"},
        ],
    )
    assert found(folder).render(TALK) == "d"
    assert found(folder).render(TALK, tools=[{"name": "f"}]) == "t"
    assert found(folder, "chatml").render(TALK, tools=[1]) != "t"
    for name in (path, folder):
        tokenizer = ByteTokenizer()
        take_template(tokenizer, str(name))
        assert template_of(tokenizer).render(TALK) == "d"
    (folder / "chat_template.jinja").write_text("file")
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool_use.jinja").write_text("t2")
    assert found(folder).render(TALK, tools=[{"name": "f"}]) == "t2"
    (folder / "chat_template.jinja").unlink()
    configure(folder, chat_template=[{"name": "x", "template": "x"}])
    with pytest.raises(ValueError, match="has only for x chat templates"):
        found(folder)


def test_where_there_is_none(folder):
    for tokenizer in (ByteTokenizer(), load_tokenizer(str(folder))):
        with pytest.raises(ValueError, match="has no chat template beside it"):
            template_of(tokenizer)
        assert default_template(tokenizer) is None
    with pytest.raises(
        ValueError, match=r"data\.template=nowhere: there is no"
    ):
        found(folder, "nowhere")
    (folder / "tokenizer_config.json").write_text("{")
    with pytest.raises(ValueError, match="has no chat template beside it"):
        found(folder)
    made = found(folder, "chatml")
    assert made.render(TALK, add_generation_prompt=True) == (
        "<|im_start|>user\n<b>ü</b><|im_end|>\n<|im_start|>assistant\n"
    )
    assert made.ends == ("<|im_end|>",)


def test_a_run_keeps_what_its_template_needs(folder, tmp_path):
    configure(folder, eos_token="<|stop|>")
    (folder / "generation_config.json").write_text('{"eos_token_id": 0}')
    tokenizer = load_tokenizer(str(folder))
    take_template(tokenizer, "chatml")
    home = tmp_path / "stored"
    home.mkdir()
    for kept in (tokenizer, ByteTokenizer()):
        kept.beside |= tokenizer.beside
        store_tokenizer(home, kept)
        again = stored_tokenizer(home)
        assert again.beside == kept.beside
        assert template_of(again).digest == template_of(kept).digest


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 99)
    | st.sampled_from(["", "x", "{{ bos_token }}", "{% if %}", "{{ 1 / 0 }}"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["name", "template", "content", "default"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
CONFIGS = st.dictionaries(
    st.sampled_from(
        ["chat_template", "bos_token", "eos_token", "eos_token_id", "x"]
    ),
    VALUES,
)


@settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(
    files=st.dictionaries(
        st.sampled_from(
            ["tokenizer_config.json", "generation_config.json",
             "chat_template.jinja", "special_tokens_map.json"]
        ),
        CONFIGS.map(lambda values: json.dumps(values).encode())
        | st.binary(max_size=9)
        | st.sampled_from([b"[" * 100_000, b'{"eos_token_id": [[1]]}']),
    )
)  # fmt: skip
def test_any_files_beside_a_tokenizer(tmp_path, byte_level, files):
    folder = tmp_path / "any"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(byte_level, folder / "tokenizer.json")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    tokenizer = load_tokenizer(str(folder))
    assert has_template(folder) == (default_template(tokenizer) is not None)
    with contextlib.suppress(ValueError):  # as TemplateRefuses is one
        template_of(tokenizer).render(TALK)
