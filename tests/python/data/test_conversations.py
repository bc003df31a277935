import pytest

from eisbach.config.data import Shape as ConfigShape
from eisbach.data.conversations import (
    BadRecord,
    Shape,
    check_columns,
    read_conversation,
    shape_of,
)

USER = {"role": "user", "content": "u"}
ASSISTANT = {"role": "assistant", "content": "a"}


def read(record, shape="chat", **columns):
    return read_conversation(record, shape, columns)


def said(conversation):
    return [(m["role"], m["content"]) for m in conversation.messages]


def test_the_configuration_knows_the_same_shapes():
    assert ConfigShape == Shape


@pytest.mark.parametrize(
    ("record", "shape"),
    [
        ({"messages": []}, "chat"),
        ({"dialogue": []}, "chat"),
        ({"conversations": []}, "sharegpt"),
        ({"prompt": "p", "completion": "c"}, "completion"),
        ({"instruction": "i", "output": "o"}, "alpaca"),
        ({"chosen": "c", "rejected": "r"}, "preference"),
        ({"text": "t", "messages": []}, "text"),
        ({"prompt": "p"}, "text"),
        ("text", "text"),
    ],
)
def test_shapes_by_their_fields(record, shape):
    renamed = {"messages": "dialogue"} if "dialogue" in record else {}
    assert shape_of(record, renamed) == shape


def test_messages():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    record = {"messages": [{"role": "user", "content": parts}, ASSISTANT]}
    assert said(read(record)) == [("user", "ab"), ("assistant", "a")]
    assert said(read({"talk": [USER, ASSISTANT]}, messages="talk"))


def test_calls_and_tools():
    call = {"name": "f", "arguments": '{"x": 1}'}
    record = {
        "messages": [
            USER,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "function": call}, call],
            },
        ],
        "tools": '[{"name": "f"}]',
    }
    found = read(record)
    first, second = found.messages[1]["tool_calls"]
    assert first["id"] == "1"
    assert first["function"] == {"name": "f", "arguments": {"x": 1}}
    assert second["function"] == first["function"]
    assert found.messages[1]["content"] == ""
    assert found.tools == [{"name": "f"}]


def test_alpaca():
    record = {"instruction": "i", "input": "x", "output": "o", "system": "s"}
    assert said(read(record, "alpaca")) == [
        ("system", "s"),
        ("user", "i\n\nx"),
        ("assistant", "o"),
    ]
    record = {"ask": "i", "input": "", "output": "o"}
    assert said(read(record, "alpaca", instruction="ask"))[0] == ("user", "i")


def test_sharegpt():
    record = {
        "system": "s",
        "conversations": [
            {"from": "human", "value": "u"},
            {"from": "function_call", "value": '{"name": "f"}'},
            {"from": "observation", "value": "o"},
            {"from": "gpt", "value": "a"},
        ],
    }
    found = read(record, "sharegpt")
    assert [role for role, _ in said(found)] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert found.messages[2]["tool_calls"][0]["function"]["name"] == "f"
    record = {"conversations": [{"who": "human", "said": "u"}, ASSISTANT]}
    assert said(
        read(record, "sharegpt", **{"from": "who", "value": "said"})
    ) == [
        ("user", "u"),
        ("assistant", "a"),
    ]


def test_pairs():
    found = read({"prompt": "p", "completion": "c"}, "completion")
    assert (found.prompt, found.completion) == ("p", "c")
    found = read({"prompt": [USER], "completion": [ASSISTANT]}, "completion")
    assert found.answer == 1
    assert said(found) == [("user", "u"), ("assistant", "a")]


@pytest.mark.parametrize(
    ("shape", "record", "why"),
    [
        ("chat", [], "no JSON object"),
        ("chat", {"text": 1}, "no field 'messages'; fields: text"),
        ("chat", {"messages": []}, "no messages"),
        ("chat", {"messages": [USER]}, "the assistant says nothing in it"),
        ("chat", {"messages": [USER, 3]}, "turn 2 is no JSON object"),
        ("chat", {"messages": [{"role": "gpt"}]}, "turn 1 has the role 'gpt'"),
        ("chat", {"messages": [{"role": ["x"]}]}, "turn 1 has the role"),
        ("chat", {"messages": [{"role": "user"}]}, "turn 1 has no content"),
        (
            "chat",
            {"messages": [USER, {**ASSISTANT, "content": " \n"}]},
            "turn 2: the assistant says nothing",
        ),
        (
            "chat",
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            "turn 1 has a part of type 'image'; only text",
        ),
        (
            "chat",
            {"messages": [{**ASSISTANT, "tool_calls": [{"function": {}}]}]},
            "turn 1 calls a function without a name",
        ),
        (
            "chat",
            {
                "messages": [
                    {
                        **ASSISTANT,
                        "tool_calls": [{"name": "f", "arguments": "{"}],
                    }
                ]
            },
            "the arguments of f are no JSON object",
        ),
        ("chat", {"messages": [USER, ASSISTANT], "tools": "{"}, "tools are no"),
        (
            "chat",
            {"messages": [{"role": "user", "content": "\udc80"}, ASSISTANT]},
            "turn 1: content is no text",
        ),
        ("completion", {"prompt": 1, "completion": "c"}, "no two texts"),
        ("completion", {"prompt": "p", "completion": ""}, "is empty"),
        (
            "sharegpt",
            {"conversations": [{"from": "x", "value": "v"}]},
            "turn 1 is by 'x', none of human",
        ),
        ("sharegpt", {"conversations": [{"value": "v"}]}, "who speaks"),
        ("alpaca", {"instruction": "i", "output": 3}, "turn 2: content is nei"),
    ],
)
def test_what_is_none_says_why(shape, record, why):
    with pytest.raises(BadRecord, match=why):
        read(record, shape)


def test_fields_that_a_shape_does_not_have():
    check_columns("auto", {"messages": "m", "from": "f"})
    with pytest.raises(ValueError, match="input is no field of shape chat"):
        check_columns("chat", {"input": "x"})


def pair(**record):
    found = read(record, "preference")
    return [
        (said(one) or (one.prompt, one.completion), one.answer)
        for one in (found.chosen, found.rejected)
    ]


OTHER = {"role": "assistant", "content": "b"}
ASKED = [("user", "u"), ("assistant", "a")], 1
ANSWERED = [("user", "u"), ("assistant", "b")], 1


def test_pairs_of_answers():
    both = [ASKED, ANSWERED]
    assert pair(prompt="p", chosen="a", rejected="b") == [
        (("p", "a"), None),
        (("p", "b"), None),
    ]
    assert pair(prompt=[USER], chosen=[ASSISTANT], rejected=[OTHER]) == both
    assert pair(prompt=[USER], chosen="a", rejected="b") == both
    assert pair(prompt="u", chosen=[ASSISTANT], rejected=[OTHER]) == both
    # Whole conversations; what a prompt says besides is in them.
    whole = {"chosen": [USER, ASSISTANT], "rejected": [USER, OTHER]}
    assert pair(**whole) == both
    assert pair(prompt="u", **whole) == both


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"chosen": "a", "rejected": "b"}, "without a prompt"),
        ({"prompt": "p", "chosen": "a", "rejected": "a"}, "are the same"),
        ({"prompt": "p", "chosen": "a"}, "no field 'rejected'"),
        ({"prompt": "p", "chosen": "a", "rejected": [OTHER]}, "no two texts"),
        ({"prompt": "p", "chosen": "a", "rejected": ""}, "is empty"),
        ({"prompt": "p", "chosen": [], "rejected": [OTHER]}, "no messages"),
    ],
)
def test_what_is_no_pair(record, why):
    with pytest.raises(BadRecord, match=why):
        read(record, "preference")
