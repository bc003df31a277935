"""Tokens that are added to a tokenizer, against transformers' own."""

import json
import re
import shutil
from pathlib import Path

import pytest

from eisbach.data.chats import chat_tokenizer
from eisbach.data.new_tokens import MOST, NewTokens
from eisbach.data.tokenizer import load_tokenizer

NEW = NewTokens(("Straße 12", "bigrivers"), ("<|robot|>", "<|tool|>"))
TEXT = "the Straße 12 sea <|robot|>bigrivers<|tool|> run"


def theirs(folder, **keys):
    import transformers

    made = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder), **keys
    )
    assert made.add_tokens(list(NEW.plain)) == 2
    assert made.add_tokens(list(NEW.special), special_tokens=True) == 2
    return made


@pytest.mark.parametrize("kind", ["byte_level", "sentence_piece"])
def test_ids_are_those_of_transformers(kind, request, tmp_path):
    path = request.getfixturevalue(kind)
    own = load_tokenizer(path, added=NEW)
    plain = load_tokenizer(path)
    want = theirs(path)
    assert own.first_added == plain.vocab
    assert own.vocab == plain.vocab + 4
    chat = chat_tokenizer(own)
    ids = want(TEXT, add_special_tokens=False)["input_ids"]
    assert chat.encode(TEXT.encode()).tolist() == ids
    for number, text in enumerate((*NEW.plain, *NEW.special)):
        token = plain.vocab + number
        assert want.convert_tokens_to_ids(text) == token
        assert token in ids
        assert chat.encode(text.encode()).tolist().count(token) == 1
    assert own.digest != plain.digest
    # In a plain text a special token is text, as the tokenizer's own are.
    known = own.encode(TEXT.encode()).tolist()
    assert plain.vocab in known
    assert plain.vocab + 2 not in known
    assert "<|robot|>" in own.decode(ids)
    # What is written is read again, here and there.
    import transformers

    (tmp_path / "tokenizer.json").write_text(own.source_text)
    again = load_tokenizer(str(tmp_path))
    assert (again.digest, again.vocab) == (own.digest, own.vocab)
    read = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "tokenizer.json")
    )
    assert read(TEXT, add_special_tokens=False)["input_ids"] == ids


def test_files_beside_list_them_too(byte_level, tmp_path):
    import transformers

    shutil.copy(byte_level, tmp_path / "tokenizer.json")
    transformers.PreTrainedTokenizerFast(
        tokenizer_file=byte_level, eos_token="<|endoftext|>"
    ).save_pretrained(tmp_path)
    own = load_tokenizer(str(tmp_path), added=NEW)
    folder = tmp_path / "written"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(own.source_text)
    for name, text in own.beside.items():
        (folder / name).write_text(text)
    told = json.loads(own.beside["tokenizer_config.json"])
    robot = told["added_tokens_decoder"][str(own.vocab - 2)]
    assert (robot["content"], robot["special"]) == ("<|robot|>", True)
    read = transformers.AutoTokenizer.from_pretrained(folder)
    assert len(read) == own.vocab
    ids = theirs(byte_level)(TEXT)["input_ids"]
    assert read(TEXT)["input_ids"] == ids
    assert "<|robot|>" not in read.decode(ids, skip_special_tokens=True)
    files = {"added_tokens.json": '{"<pad>": 1}'}
    assert json.loads(NEW.beside(files, 7)["added_tokens.json"]) == {
        "<pad>": 1,
        "Straße 12": 7,
        "bigrivers": 8,
        "<|robot|>": 9,
        "<|tool|>": 10,
    }
    for damaged in ("[]", "{"):
        with pytest.raises(ValueError, match=r"added_tokens\.json beside"):
            NEW.beside({"added_tokens.json": damaged}, 7)


@pytest.mark.parametrize(
    ("added", "message"),
    [
        (
            NewTokens(("a b", "a b")),
            'model.add_tokens: "a b" comes twice: name it once',
        ),
        (
            NewTokens(("<x>",), ("<x>",)),
            'model.add_special_tokens: "<x>" comes twice',
        ),
        (
            NewTokens((), ("<pad>",)),
            'model.add_special_tokens: "<pad>" is a token of data.tokenizer=',
        ),
        (
            NewTokens(tuple(f"<{i}>" for i in range(MOST + 1))),
            f"are {MOST + 1} tokens together, and there may be {MOST}",
        ),
    ],
)
def test_what_a_tokenizer_cannot_have_is_named(byte_level, added, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        load_tokenizer(byte_level, added=added)


def test_bytes_have_them_too():
    own = load_tokenizer("bytes", added=NEW)
    assert (own.first_added, own.vocab) == (256, 260)
    found = own.encode("né Straße 12\n<|tool|>".encode()).tolist()
    assert found == [*"né ".encode(), 256, *b"\n<|tool|>"]
    found = chat_tokenizer(own).encode(b"a<|tool|>").tolist()
    assert found == [97, 259]


@pytest.mark.parametrize("text", [" ", "\n", "a"])
def test_a_byte_is_no_new_token(byte_level, text):
    known = ord(text)
    with pytest.raises(
        ValueError, match=f"is a token of .* already, id {known}"
    ):
        load_tokenizer("bytes", added=NewTokens((text,)))
    with pytest.raises(ValueError, match=r"is a token of .* already"):
        load_tokenizer(byte_level, added=NewTokens((text,)))


def test_ids_with_gaps_are_refused(byte_level, tmp_path):
    # Ids inside: the library gives the next one after the number of tokens.
    described = json.loads(Path(byte_level).read_text())
    vocab = described["model"]["vocab"]
    last = max(vocab, key=vocab.get)
    vocab[last] += 50
    path = tmp_path / "gaps.json"
    path.write_text(json.dumps(described))
    with pytest.raises(ValueError, match=r"its ids have gaps"):
        load_tokenizer(str(path), added=NEW)
