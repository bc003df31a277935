"""What is trained, judged by words that only one of the speakers says."""

import re

import pytest

from eisbach.data.chat_template import ChatTemplate, TemplateRefuses
from eisbach.data.conversations import Conversation, read_conversation
from eisbach.data.spans import Marker


def template_of(kind):
    tokens = {"bos_token": "<s>", "eos_token": kind.eos}
    return ChatTemplate(kind.text, tokens=tokens, ends=kind.more_ends)


def marker_of(kind, train_on="assistant"):
    return Marker(template_of(kind), train_on, kind.specials)


NAMES = ("CHATML", "LLAMA3", "MISTRAL", "GEMMA", "QWEN3", "PHI3", "GLM")


@pytest.fixture(params=NAMES)
def kind(request, kinds):
    return getattr(kinds, request.param)


def talk(*turns):
    """`u...` is the user's, `a...` the assistant's, `s...` the system's."""
    roles = {"u": "user", "a": "assistant", "s": "system", "<": "assistant"}
    messages = [{"role": roles[t[0]], "content": t} for t in turns]
    return read_conversation({"messages": messages}, "chat", {})


def trained(documents):
    return [
        document.text[begin:end]
        for document in documents
        for begin, end in document.spans
    ]


def words(texts):
    return re.findall(r"\b[aus]\d\b", " ".join(texts))


def test_all_that_the_assistant_says_and_its_ends(kind):
    documents = marker_of(kind).documents(talk("u1", "a1", "u2", "a2"))
    texts = trained(documents)
    assert words(texts) == ["a1", "a2"]
    assert texts[0].endswith(kind.end)
    # The last one may be ended by the end of the text as well.
    assert texts[1].rstrip().endswith((kind.end, kind.eos))
    assert all(text == text.rstrip() for text in texts)
    for document in documents:
        assert document.text.count("<s>") == kind.text.count("{{ bos_token }}")


def test_one_document_unless_earlier_turns_change(kind, kinds):
    documents = marker_of(kind).documents(talk("u1", "a1", "u2", "a2"))
    if kind is kinds.QWEN3:
        assert [words([d.text]) for d in documents] == [
            ["u1", "a1"],
            ["u1", "a1", "u2", "a2"],
        ]
        assert [len(d.spans) for d in documents] == [1, 1]
    else:
        (document,) = documents
        assert len(document.spans) == 2


def test_thoughts_are_trained_where_they_are_written(kinds):
    conversation = talk("u1", "<think>\nt1\n</think>\n\na1", "u2", "a2")
    first, second = marker_of(kinds.QWEN3).documents(conversation)
    assert trained([first]) == ["<think>\nt1\n</think>\n\na1<|im_end|>"]
    assert "t1" not in second.text
    assert trained([second]) == ["<think>\n\n</think>\n\na2<|im_end|>"]


def test_a_template_that_ends_the_text_and_not_the_turn(kinds):
    (document,) = marker_of(kinds.PHI3).documents(talk("u1", "a1", "u2", "a2"))
    assert trained([document]) == ["a1<|end|>", "a2<|end|>\n<|endoftext|>"]
    assert document.text.count("<|endoftext|>") == 1


def test_a_turn_that_the_next_one_ends(kinds):
    (document,) = marker_of(kinds.GLM).documents(talk("u1", "a1", "u2", "a2"))
    assert trained([document]) == ["a1<|user|>", "a2<|endoftext|>"]


@pytest.mark.parametrize(
    ("train_on", "said"),
    [
        ("assistant", ["a1", "a2", "a3"]),
        ("completion", ["a2", "a3"]),
        ("last", ["a3"]),
    ],
)
def test_what_is_wanted(train_on, said, kinds):
    conversation = talk("s0", "u1", "a1", "u2", "a2", "a3")
    documents = marker_of(kinds.CHATML, train_on).documents(conversation)
    assert words(trained(documents)) == said
    assert words([documents[-1].text]) == ["s0", "u1", "a1", "u2", "a2", "a3"]


def test_all_is_all(kinds):
    conversation = talk("u1", "a1", "u2")
    (document,) = marker_of(kinds.LLAMA3, "all").documents(conversation)
    assert document.spans == [(0, len(document.text))]
    assert words([document.text]) == ["u1", "a1", "u2"]


def test_what_follows_the_last_answer_is_left_out(kinds):
    documents = marker_of(kinds.LLAMA3).documents(talk("u1", "a1", "u2"))
    assert words([documents[0].text]) == ["u1", "a1"]


@pytest.mark.parametrize(
    ("name", "turns", "why"),
    [
        ("MISTRAL", ("u1", "u2", "a1"), "Roles must alternate"),
        ("GEMMA", ("s0", "u1", "a1"), "System role not supported"),
        ("CHATML", ("a1",), "list object has no element 0|undefined"),
    ],
)
def test_templates_refuse(name, turns, why, kinds):
    with pytest.raises(TemplateRefuses, match=why):
        marker_of(getattr(kinds, name)).documents(talk(*turns))


def test_an_answer_that_is_not_what_a_model_was_asked_for(kinds):
    with pytest.raises(
        TemplateRefuses,
        match=r"turn 2: a model is asked with '<think>\\n' where the text of "
        "the turn has 'a1</s>'",
    ):
        marker_of(kinds.THINKER).documents(talk("u1", "a1"))


def test_an_answer_that_the_template_drops():
    template = ChatTemplate(
        "{% for m in messages %}{{ m.role }}: {{ m.content[:3] }}\n{% endfor %}"
    )
    conversation = talk("u1", "a1 and more")
    with pytest.raises(
        TemplateRefuses, match=r"turn 2: (a model is asked|.*not in)"
    ):
        Marker(template, "assistant").documents(conversation)


CALL = {
    "role": "assistant",
    "tool_calls": [
        {"function": {"name": "sky", "arguments": '{"at": "Köln"}'}}
    ],
}
CALLS = (
    "{{% for m in messages %}}{{{{ '<|' ~ m.role ~ '|>' ~ m.content }}}}"
    "{{% for c in m.tool_calls or [] %}}"
    "{{{{ c.function.name ~ {} }}}}{{% endfor %}}{{{{ '</s>' }}}}{{% endfor %}}"
    "{{% if add_generation_prompt %}}{{{{ '<|assistant|>' }}}}{{% endif %}}"
)


@pytest.mark.parametrize(
    "written", ["(c.function.arguments | tojson)", "c.function.arguments"]
)
def test_arguments_are_json_whichever_the_template_wants(written):
    messages = [{"role": "user", "content": "u1"}, CALL]
    conversation = read_conversation({"messages": messages}, "chat", {})
    template = ChatTemplate(CALLS.format(written))
    documents = Marker(template, "assistant", ["</s>"]).documents(conversation)
    assert trained(documents) == ['sky{"at": "Köln"}</s>']


def test_calls_that_a_template_does_not_write_are_refused(kinds):
    messages = [{"role": "user", "content": "u1"}, CALL]
    conversation = read_conversation({"messages": messages}, "chat", {})
    with pytest.raises(TemplateRefuses, match="is not in the text"):
        marker_of(kinds.LLAMA3).documents(conversation)


def test_two_texts_need_no_template():
    pair = Conversation(prompt="2 + 2 = ", completion="4")
    for train_on, span in (("assistant", (8, 9)), ("all", (0, 9))):
        (document,) = Marker(None, train_on).documents(pair)
        assert document.spans == [span]
        assert document.bare


def test_a_head_of_an_answer_that_nobody_asked_for_is_refused():
    turns = (
        "{% for m in messages %}{{ '<' ~ m.role ~ '>' ~ m.content ~ '</s>' }}"
    )
    always = ChatTemplate(turns + "{% endfor %}{{ '<assistant>' }}")
    with pytest.raises(
        TemplateRefuses, match="turn 2: the template puts the he"
    ):
        Marker(always, "assistant", ["</s>"]).documents(talk("u1", "a1"))
    # Without heads at all both end alike, and rightly so.
    bare = ChatTemplate(
        "{% for m in messages %}{{ m.content ~ '</s>' }}{% endfor %}"
    )
    documents = Marker(bare, "assistant", ["</s>"]).documents(talk("u1", "a1"))
    assert trained(documents) == ["a1</s>"]
