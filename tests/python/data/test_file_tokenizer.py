import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from eisbach.data.tokenizer import load_tokenizer

TEXTS = [b"the cat sat", "naïve ☃".encode(), b"", b"\xff\xfe", b"a\n" * 700]


def test_reads_back_what_it_wrote(byte_level):
    tokenizer = load_tokenizer(byte_level)
    assert tokenizer.vocab >= 258
    for text in TEXTS:
        tokens = tokenizer.encode(text)
        assert tokens.dtype == np.uint16
        assert tokenizer.decode(tokens) == text.decode(errors="replace")
    assert len(tokenizer.encode(TEXTS[0])) < len(TEXTS[0])


def test_ids_without_a_token_are_shown(byte_level):
    tokenizer = load_tokenizer(byte_level)
    known = tokenizer.encode(b"the cat").tolist()
    beyond = tokenizer.vocab
    text = tokenizer.decode([*known, beyond, 2**40, *known])
    assert text == f"the cat<{beyond}><{2**40}>the cat"


def test_end_of_document_is_found_or_chosen(byte_level):
    assert load_tokenizer(byte_level).end_of_document == 0
    chosen = load_tokenizer(byte_level, end_of_document="<|stop|>")
    assert chosen.end_of_document == 2
    with pytest.raises(ValueError, match=r"'<\|stop>'; closest: '<\|stop\|>'"):
        load_tokenizer(byte_level, end_of_document="<|stop>")


@pytest.mark.parametrize(
    "keys",
    [
        {
            "truncation": {
                "direction": "Right",
                "max_length": 8,
                "strategy": "LongestFirst",
                "stride": 0,
            }
        },
        {
            "padding": {
                "strategy": {"Fixed": 64},
                "direction": "Right",
                "pad_to_multiple_of": None,
                "pad_id": 1,
                "pad_type_id": 0,
                "pad_token": "<pad>",
            }
        },
    ],
)
def test_truncation_and_padding_are_off(byte_level, changed, texts, keys):
    path = changed(byte_level, **keys)
    start = texts[0][:40]
    text = start.encode()
    # The settings do change what the library makes of a text by itself.
    theirs = Tokenizer.from_file(path).encode(start).ids
    found = load_tokenizer(path).encode(text).tolist()
    assert found == load_tokenizer(byte_level).encode(text).tolist()
    assert found != theirs
    assert load_tokenizer(path).prompt(start) == found


def test_dropout_is_off(byte_level, changed, texts):
    with open(byte_level) as stream:
        model = json.load(stream)["model"]
    path = changed(byte_level, model={**model, "dropout": 0.9})
    text = texts[0].encode()
    expected = load_tokenizer(byte_level).encode(text)
    np.testing.assert_array_equal(load_tokenizer(path).encode(text), expected)


def test_the_template_tells_what_begins_and_ends(sentence_piece, changed):
    template = load_tokenizer(sentence_piece)
    assert template.begin_of_document == (1,)
    assert template.end_of_document == 2
    theirs = Tokenizer.from_file(sentence_piece).encode("the sea").ids
    assert template.prompt("the sea") == theirs
    assert template.encode(b"the sea").tolist() == theirs[1:]
    without = load_tokenizer(sentence_piece, begin_of_document="none")
    assert without.prompt("the sea") == theirs[1:]
    other = load_tokenizer(sentence_piece, begin_of_document="</s>")
    assert other.prompt("the sea") == [2, *theirs[1:]]

    ends = changed(
        sentence_piece,
        post_processor={
            "type": "TemplateProcessing",
            "single": [
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "<s>", "type_id": 0}},
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {
                "<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}
            },
        },
    )
    assert load_tokenizer(ends).begin_of_document == ()
    assert load_tokenizer(ends).end_of_document == 1


def test_the_name_of_a_special_token_stays_text(byte_level):
    text = b"the<|endoftext|>sea"
    plain = load_tokenizer(byte_level)
    assert 0 not in plain.encode(text)
    assert plain.decode(plain.encode(text)) == text.decode()
    asked = load_tokenizer(byte_level, special_tokens="tokens")
    assert asked.encode(text).tolist().count(0) == 1
    with pytest.raises(ValueError, match="special_tokens=other is neither"):
        load_tokenizer(byte_level, special_tokens="other")


def test_a_folder_as_transformers_writes_it(byte_level, tmp_path):
    shutil.copy(byte_level, tmp_path / "tokenizer.json")
    file = load_tokenizer(byte_level)
    assert load_tokenizer(str(tmp_path)).digest == file.digest
    config = tmp_path / "tokenizer_config.json"
    for token in ("<|stop|>", {"content": "<|stop|>"}):
        config.write_text(json.dumps({"eos_token": token}))
        assert load_tokenizer(str(tmp_path)).end_of_document == 2
    config.write_text("{")
    assert load_tokenizer(str(tmp_path)).end_of_document == 0
    (tmp_path / "tokenizer.json").rename(tmp_path / "tokenizer.model")
    with pytest.raises(ValueError, match=r"no tokenizer\.json, only .*model"):
        load_tokenizer(str(tmp_path))


def test_what_is_no_tokenizer_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"No such file.*\(data\.tokenizer\)"):
        load_tokenizer(str(tmp_path / "no.json"))
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ValueError, match=r"a\.json: no Hugging Face"):
        load_tokenizer(str(tmp_path / "a.json"))


def replaced(value, at, by):
    """Yields copies in which the node that is `at` of all is another."""
    count = 0

    def copy(node):
        nonlocal count
        count += 1
        if count == at + 1:
            return by
        if isinstance(node, dict):
            return {key: copy(inner) for key, inner in node.items()}
        if isinstance(node, list):
            return [copy(inner) for inner in node]
        return node

    return copy(value), count


def test_a_file_that_the_library_chokes_on_is_refused(byte_level, changed):
    """Its panics are no exceptions of Python's kind."""
    missing = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<none>", "type_id": 0}}],
        "pair": [],
        "special_tokens": {},
    }
    with pytest.raises(ValueError, match=r"json: no Hugging Face .*data\.tok"):
        load_tokenizer(changed(byte_level, post_processor=missing))


def test_an_id_has_a_largest(byte_level, tmp_path):
    described = json.loads(Path(byte_level).read_text())
    described["added_tokens"].append(
        {**described["added_tokens"][0], "id": 2**31, "content": "<far>"}
    )
    described["model"]["vocab"]["<far>"] = 2**31
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(described))
    with pytest.raises(ValueError, match=r"token id 2147483648 is above"):
        load_tokenizer(str(file))


def test_any_change_is_refused_or_harmless(byte_level, tmp_path):
    draw = random.Random(5)
    described = json.loads(Path(byte_level).read_text())
    described["model"]["vocab"] = dict(
        list(described["model"]["vocab"].items())[:40]
    )
    described["model"]["merges"] = []
    _, count = replaced(described, -1, None)
    values = [None, -1, 2**32, 2**64, 1.5, "", "x", [], {}, [1], {"a": 1}]
    file = tmp_path / "tokenizer.json"
    refused = 0
    for _ in range(200):
        other, _ = replaced(
            described, draw.randrange(count), draw.choice(values)
        )
        file.write_text(json.dumps(other))
        fault = ""
        try:
            tokenizer = load_tokenizer(str(file))
            tokenizer.decode(tokenizer.encode(b"a <|endoftext|> b").tolist())
            assert tokenizer.looks_far in (False, True)
            tokenizer.apart(3, 4)
        except ValueError as error:
            fault = str(error)
            refused += 1
        assert not fault or str(file) in fault
    assert 50 < refused < 200
