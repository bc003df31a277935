"""From files of conversations to token files with masks."""

import json
from functools import partial
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eisbach import _C
from eisbach.data import chats, workers
from eisbach.data.chat_maker import grouped
from eisbach.data.chat_records import ChatOptions, chat_documents
from eisbach.data.chat_template import ChatTemplate
from eisbach.data.chats import chat_tokenizer, prepare_chats, template_for
from eisbach.data.rules import read_info
from eisbach.data.tokenizer import ByteTokenizer, load_tokenizer


def talk(*said):
    roles = ("user", "assistant")
    return {
        "messages": [
            {"role": roles[i % 2], "content": text}
            for i, text in enumerate(said)
        ]
    }


@pytest.fixture
def prepared(tmp_path, kinds):
    """Prepares records of conversations as bytes."""

    def prepared(
        *records,
        kind=kinds.CHATML,
        tokenizer=None,
        share=0.0,
        processes=1,
        **options,
    ):
        path = tmp_path / "c.jsonl"
        path.write_text("".join(json.dumps(r) + "\n" for r in records))
        chosen = ChatOptions(options.pop("shape", "chat"), **options)
        tokens = {"bos_token": "<s>", "eos_token": kind.eos}
        return prepare_chats(
            tmp_path / "out" / "x",
            chat_documents([path], chosen),
            tokenizer or ByteTokenizer(),
            options=chosen,
            template=ChatTemplate(kind.text, tokens=tokens),
            share=share,
            source=["c.jsonl"],
            processes=processes,
        )

    return prepared


def documents_of(prefix, tokenizer=None):
    """Text of each document, and the text of it that is trained."""
    tokenizer = tokenizer or ByteTokenizer()
    file = _C.TokenFile(prefix)
    found = []
    for number in range(len(file)):
        ids, mask = file[number], file.mask(number)
        found.append(
            (tokenizer.decode(ids), tokenizer.decode(ids[mask.astype(bool)]))
        )
    return found


def test_what_is_written(prepared, tmp_path):
    done = prepared(talk("hi", "yo ☃", "and", "so"), talk("x", "y"))
    first, second = documents_of(tmp_path / "out" / "x")
    assert first[1] == "yo ☃<|im_end|>so<|im_end|>"
    assert first[0].startswith("<|im_start|>system\nBe kind.<|im_end|>\n")
    assert second[1] == "y<|im_end|>"
    info = read_info(tmp_path / "out" / "x")
    assert info.trained == len("yo xx<|im_end|>so<|im_end|>y<|im_end|>") + 1
    assert (info.marked.shape, info.marked.train_on) == ("chat", "assistant")
    assert info.documents == 2
    assert next(done.lines()) == "kept 2 conversations"
    assert f"({info.trained} trained, " in list(done.lines())[1]
    assert sorted(p.suffix for p in (tmp_path / "out").iterdir()) == [
        ".bin",
        ".idx",
        ".json",
        ".mask",
    ]


def test_what_is_left_out_is_counted_and_named(prepared, tmp_path, kinds):
    done = prepared(
        talk("u", "a"),
        {"messages": 3},
        talk("u", "a", "u"),
        {"messages": [*talk("u")["messages"], *talk("u", "a")["messages"]]},
        talk("u", "a", "u", "a" * 60),
        kind=kinds.MISTRAL,
        max_tokens=30,
    )
    lines = list(done.lines())
    assert lines[:2] == [
        "kept 3 conversations",
        "cut 1 documents that were longer than max_tokens",
    ]
    assert lines[2] == "left out 1 records that are none:"
    assert lines[4] == "left out 1 conversations that the template refuses:"
    assert "c.jsonl:4: Roles must alternate" in lines[5]
    assert [len(text) for text, _ in documents_of(tmp_path / "out" / "x")][
        -1
    ] == 30
    with pytest.raises(
        ValueError, match="no conversation to train on: left ou"
    ):
        prepared(talk("u" * 50, "a"), max_tokens=10)


def test_earlier_turns_that_change(prepared, tmp_path, kinds):
    done = prepared(talk("u", "a", "v", "b"), kind=kinds.QWEN3)
    assert "1 of them became several documents" in list(done.lines())[1]
    assert [trained for _, trained in documents_of(tmp_path / "out" / "x")] == [
        "<think>\n\n</think>\n\na<|im_end|>",
        "<think>\n\n</think>\n\nb<|im_end|>",
    ]


def test_special_tokens_of_the_model(prepared, tmp_path, byte_level, kinds):
    tokenizer = load_tokenizer(byte_level)
    made_by = chat_tokenizer(tokenizer)
    assert tokenizer.rules.special_tokens == "text", "that of the run stays"
    kind = type(kinds.CHATML)(
        kinds.CHATML.text.replace("<|im_end|>", "<|stop|>"),
        "<|stop|>",
        "<|stop|>",
        ("<|stop|>",),
    )
    prepared(talk("the fox", "the dog"), kind=kind, tokenizer=made_by)
    file = _C.TokenFile(tmp_path / "out" / "x")
    ids, mask = file[0], file.mask(0)
    ((_, trained),) = documents_of(tmp_path / "out" / "x", made_by)
    assert trained == "the dog<|stop|>"
    assert (ids == 2).sum() == 3, "each is one token"
    assert ids[mask.astype(bool)][-1] == 2
    assert 0 not in ids, "no end of document is added"


def test_pairs_of_texts(prepared, tmp_path):
    prepared({"prompt": "2 + 2 = ", "completion": "4"}, shape="completion")
    assert documents_of(tmp_path / "out" / "x") == [("2 + 2 = 4", "4")]
    assert template_for(ChatOptions("completion"), ByteTokenizer()) is None
    with pytest.raises(ValueError, match="no chat template beside it"):
        template_for(ChatOptions("chat"), ByteTokenizer())


def test_whole_conversations_are_held_out(prepared, tmp_path, kinds):
    talks = [talk(f"u{i}", f"a{i}", "v", "b") for i in range(10)]
    done = prepared(*talks, kind=kinds.QWEN3, share=0.2)
    train = {text for text, _ in documents_of(tmp_path / "out" / "x")}
    held = {text for text, _ in documents_of(tmp_path / "out" / "x-validation")}
    assert (len(train), len(held)) == (16, 4)
    assert not {t[:30] for t in train} & {t[:30] for t in held}
    assert done.validation[1].documents == 4
    again = prepared(*talks, kind=kinds.QWEN3, share=0.2)
    assert again.train[1] == done.train[1]
    with pytest.raises(ValueError, match="1 conversations are too few"):
        prepared(talks[0], share=0.2)


def test_a_turn_of_a_million_characters(prepared, tmp_path):
    prepared(talk("u", "word " * 200_000), talk("u", "a"))
    first, second = documents_of(tmp_path / "out" / "x")
    assert len(first[1]) == 1_000_000 + len("<|im_end|>")
    assert second[1] == "a<|im_end|>"


TEXT = st.text(alphabet="ab <|im_end|>\n☃{%", max_size=8)
TURNS = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "system", "tool"]),
            "content": TEXT | st.just("<think>\nt\n</think>a") | st.none(),
        },
        optional={
            "reasoning_content": TEXT,
            "tool_calls": st.just([{"name": "f", "arguments": "{}"}]),
        },
    ),
    max_size=6,
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
    talks=st.lists(TURNS, max_size=5),
    name=st.sampled_from(["CHATML", "MISTRAL", "QWEN3", "PHI3", "GLM"]),
    train_on=st.sampled_from(["assistant", "completion", "last", "all"]),
)
def test_roles_in_any_order(prepared, tmp_path, kinds, talks, name, train_on):
    records = [{"messages": turns} for turns in [*talks, []]]
    try:
        done = prepared(*records, kind=getattr(kinds, name), train_on=train_on)
    except ValueError as error:
        told, kept = str(error).split("train on: ")[1].splitlines(), 0
    else:
        told = list(done.told)
        kept = int(told[0].split()[1])
        assert all(trained for _, trained in documents_of(tmp_path / "out/x"))
    left = [int(t.split()[2]) for t in told if t.startswith("left out ")]
    assert kept + sum(left) == len(records)


def test_ids_and_mask_are_those_of_transformers(prepared, tmp_path, byte_level):
    """Theirs come from marks in the template, which we do not look at."""
    import transformers

    template = (
        "{% for m in messages %}"
        "{% if m.role == 'assistant' %}"
        "{{ '<pad>assistant\n' }}{% generation %}{{ m.content }}"
        "{{ '<|stop|>' }}{% endgeneration %}{{ '\n' }}"
        "{% else %}{{ '<pad>' ~ m.role ~ '\n' ~ m.content ~ '<|stop|>\n' }}"
        "{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<pad>assistant\n' }}{% endif %}"
    )
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=byte_level)
    theirs.chat_template = template
    talks = [
        talk("the quick fox", "straße ☃ jumps", "over", "  a lazy dog\n"),
        talk("12 345", "seven small rivers run to the sea"),
    ]
    tokenizer = load_tokenizer(byte_level)
    tokenizer.beside["chat_template.jinja"] = template
    made_by = chat_tokenizer(tokenizer)
    kind = SimpleNamespace(text=template, eos="<|stop|>")
    prepared(*talks, kind=kind, tokenizer=made_by)
    file = _C.TokenFile(tmp_path / "out" / "x")
    for number, record in enumerate(talks):
        wanted = theirs.apply_chat_template(
            record["messages"],
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        assert file[number].tolist() == wanted["input_ids"]
        assert file.mask(number).tolist() == wanted["assistant_masks"]


def test_processes_write_the_same_files(
    prepared, tmp_path, byte_level, kinds, monkeypatch
):
    monkeypatch.setattr(workers, "_ALONE", 1)
    monkeypatch.setattr(chats, "grouped", partial(grouped, size=2000))
    made_by = chat_tokenizer(load_tokenizer(byte_level))
    talks = [talk(f"u{i} " * (i % 7), f"a{i}", "v", "b") for i in range(60)]
    talks[5::9] = [{"messages": [{"role": "user", "content": "x"}]}] * 7
    wanted: dict[str, bytes] = {}
    for processes in (1, 3):
        done = prepared(
            *talks,
            kind=kinds.MISTRAL,
            tokenizer=made_by,
            share=0.2,
            processes=processes,
            max_tokens=40,
        )
        files = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
        assert wanted in ({}, files)
        assert len(files) == 8
        wanted = files
    assert sum("left out 7" in line for line in done.told) == 1


def answers(*said):
    asked = [{"role": "user", "content": "which?"}]
    made = [[{"role": "assistant", "content": text}] for text in said]
    return {"prompt": asked, "chosen": made[0], "rejected": made[1]}


def test_a_pair_is_two_documents(prepared):
    done = prepared(
        answers("good", "bad"), answers("one", "two"), shape="preference"
    )
    prefix, info = done.train
    assert [trained for _, trained in documents_of(str(prefix))] == [
        "good<|im_end|>",
        "bad<|im_end|>",
        "one<|im_end|>",
        "two<|im_end|>",
    ]
    assert info.marked.shape == "preference"
    assert done.told == ("kept 2 pairs",)


def test_pairs_are_held_out_whole(prepared):
    records = [answers(f"good {i}", f"bad {i}") for i in range(9)]
    done = prepared(*records, shape="preference", share=0.3)
    for prefix, _ in (done.train, done.validation):
        said = [trained for _, trained in documents_of(str(prefix))]
        assert len(said) % 2 == 0
        for good, bad in zip(said[::2], said[1::2], strict=True):
            assert good.replace("good", "bad") == bad


def test_a_pair_of_which_an_answer_is_cut_away_is_left_out(prepared):
    asked = {"role": "user", "content": "x" * 200}
    said = [{"role": "assistant", "content": text} for text in ("good", "bad")]
    long = {"chosen": [asked, said[0]], "rejected": [asked, said[1]]}
    done = prepared(
        long, answers("one", "two"), shape="preference", max_tokens=120
    )
    assert len(documents_of(str(done.train[0]))) == 2
    assert "left out 1 conversations with nothing to train:" in done.told
