import pytest

from eisbach import _C
from eisbach.data.corpus import is_validation
from eisbach.data.documents import Document
from eisbach.data.prepare import prepare
from eisbach.data.rules import DocumentRules
from eisbach.data.tokenizer import ByteTokenizer


def ending():
    tokenizer = ByteTokenizer(DocumentRules(256, (255,)))
    tokenizer.vocab = 257
    return tokenizer


def split(tmp_path, texts, share, tokenizer=None):
    documents = [Document(key, (text,)) for key, text in texts.items()]
    done = prepare(
        tmp_path / "a", documents, tokenizer or ByteTokenizer(), share=share
    )
    files = [
        [bytes(d.tolist()).decode() for d in _C.TokenFile(str(prefix))]
        if tokenizer is None
        else [d.tolist() for d in _C.TokenFile(str(prefix))]
        for prefix, _ in (done.train, done.validation)
    ]
    assert [done.train[1].bytes, done.validation[1].bytes] == [
        sum(len(text) if tokenizer is None else len(text) - 2 for text in file)
        for file in files
    ]
    return *files, done


def test_many_documents_are_held_out_whole(tmp_path):
    texts = {f"{i}.txt": f"text {i:03d}" for i in range(400)}
    train, held, done = split(tmp_path, texts, 0.1)
    assert held == [t for n, t in texts.items() if is_validation(n, 0.1)]
    assert train == [t for n, t in texts.items() if not is_validation(n, 0.1)]
    assert done.by_documents
    lines = list(done.lines())
    assert "whole documents" in lines[2]


@pytest.mark.parametrize("name", ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_one_document_is_cut_whatever_its_name(tmp_path, name, share):
    text = "".join(chr(97 + i % 26) for i in range(1000))
    train, held, done = split(tmp_path, {name: text}, share)
    cut = round(1000 * (1 - share))
    assert (train, held) == ([text[:cut]], [text[cut:]])
    assert not done.by_documents
    assert "the last part of each" in list(done.lines())[2]


def test_eleven_documents(tmp_path):
    texts = {f"chapter-{i:02d}.txt": chr(97 + i) * 100 for i in range(11)}
    for share in (0.01, 0.05, 0.2):
        train, held, done = split(tmp_path, texts, share)
        got = sum(map(len, held)) / 1100
        assert share / 2 <= got <= share * 2
        if not done.by_documents:
            assert held == [
                text[0] * (100 - len(kept))
                for kept, text in zip(train, texts.values(), strict=True)
            ]


def test_parts_begin_and_end_as_documents_do(tmp_path):
    texts = {"a.txt": "0123456789", "b.txt": ""}
    train, held, done = split(tmp_path, texts, 0.2, ending())
    ids = list(b"0123456789")
    assert not done.by_documents
    assert train == [[255, *ids[:8], 256], [255, 256]]
    assert held == [[255, *ids[8:], 256]]


def test_short_documents_are_cut_together(tmp_path):
    # None is long enough to have a hundredth.
    texts = {"long": "x" * 9000, **{f"s{i}": "abcde" for i in range(200)}}
    train, held, done = split(tmp_path, texts, 0.01)
    assert not done.by_documents
    assert sum(map(len, held)) == 100
    assert sum(map(len, train)) == 9900


def test_too_little_text_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"5 tokens: too few to hold 0\.01"):
        split(tmp_path, {"a": "abcde"}, 0.01)
    with pytest.raises(ValueError, match="a: no text"):
        split(tmp_path, {"a": ""}, 0.1)
    assert list(tmp_path.iterdir()) == []
