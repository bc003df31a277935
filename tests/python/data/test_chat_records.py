import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eisbach.data.chat_records import ChatOptions, chat_documents, detect_shape
from eisbach.data.conversations import Conversation

TALK = [
    {"role": "user", "content": "u"},
    {"role": "assistant", "content": "a"},
]


def read(*paths, shape="chat", **options):
    documents = chat_documents(paths, ChatOptions(shape), **options)
    return list(documents.items()), documents.records.bad_records


def write(path, *records):
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path


def test_lines_that_are_none_are_counted_and_named(tmp_path):
    path = tmp_path / "c.jsonl"
    lines = [
        json.dumps({"messages": TALK}).encode(),
        b'{"messages": [{"role": "user", "content": "\xff"}]}',
        b"{",
        b"",
        json.dumps({"messages": []}).encode(),
        json.dumps({"messages": TALK}).encode(),
        *[b"[]"] * 4,
    ]
    path.write_bytes(b"\n".join(lines))
    found, left = read(path)
    assert [key for key, _ in found] == ["c.jsonl:1", "c.jsonl:6"]
    assert left.count == 7
    told = list(left.lines("records"))
    assert told[0] == "left out 7 records:"
    assert f"{path}:2: turn 1: content is no text" in told[1]
    assert f"{path}:3: no JSON" in told[2]
    assert f"{path}:5: there are no messages" in told[3]
    assert told[-1] == "  and 2 more"
    with pytest.raises(ValueError, match=r"c\.jsonl:2: turn 1: content is no"):
        read(path, stops=True)


def test_tables_and_packed_files(tmp_path):
    rows = [{"messages": TALK, "other": 1}] * 2
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, tmp_path / "p.parquet")
    packed = "".join(json.dumps(r) + "\n" for r in rows).encode()
    (tmp_path / "z.jsonl.gz").write_bytes(gzip.compress(packed))
    found, left = read(tmp_path / "p.parquet", tmp_path / "z.jsonl.gz")
    assert len(found) == 4
    assert all(c.messages == TALK for _, c in found)
    assert left.count == 0
    (tmp_path / "a.csv").write_text("instruction;output\ni;o\nx\n")
    found, left = read(tmp_path / "a.csv", shape="alpaca")
    assert [m["content"] for m in found[0][1].messages] == ["i", "o"]
    assert left.count == 1


def test_texts_are_no_records(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(
        ValueError, match=r"a\.txt: is a text, not a file of re"
    ):
        read(tmp_path / "a.txt")


def test_shapes_are_told_by_the_first_record(tmp_path):
    (tmp_path / "README.md").write_text("about")
    write(tmp_path / "x.jsonl", {"messages": TALK})
    assert detect_shape([tmp_path], {}) == "chat"
    write(tmp_path / "x.jsonl", {"text": "t"})
    assert detect_shape([tmp_path], {}) == "text"
    write(tmp_path / "x.jsonl", {"dialogue": TALK})
    assert detect_shape([tmp_path], {"messages": "dialogue"}) == "chat"
    (tmp_path / "x.jsonl").write_bytes(b"\xff")
    assert detect_shape([tmp_path], {}) == "text"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "messages",
                    "tool_calls",
                    "tools",
                    "type",
                    "text",
                    "function",
                    "name",
                    "arguments",
                    "from",
                    "value",
                    "conversations",
                    "prompt",
                    "completion",
                    "instruction",
                    "output",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "x"])},
    optional={"content": JSON, "tool_calls": JSON},
)
RECORD = JSON | st.fixed_dictionaries(
    {}, optional={"messages": st.lists(TURN, max_size=4), "tools": JSON}
)


@settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    records=st.lists(RECORD, min_size=1, max_size=4),
    noise=st.binary(max_size=20).filter(lambda b: b"\0" not in b),
    shape=st.sampled_from(["chat", "completion", "alpaca", "sharegpt"]),
)
def test_each_line_is_a_conversation_or_counted(
    tmp_path_factory, records, noise, shape
):
    path = tmp_path_factory.getbasetemp() / "fuzzed.jsonl"
    lines = [json.dumps(r).encode() for r in records]
    # The first line tells that it is a file of lines.
    body = b"\n".join([b'{"a": 1}', *lines, b"{" + noise.replace(b"\n", b"")])
    path.write_bytes(body)
    found, left = read(path, shape=shape)
    assert all(isinstance(c, Conversation) for _, c in found)
    assert len(found) + left.count == len(records) + 2
