import random

import pytest

from eisbach.data.tokenizer import ByteTokenizer
from eisbach.text_stream import TextStream


def _pushed(tokens, prompt=b"x", stops=()):
    stream = TextStream(ByteTokenizer(), list(prompt), stops)
    parts = []
    for token in tokens:
        parts.append(stream.push(token))
        if stream.stopped:
            break
    parts.append(stream.end())
    assert "".join(parts) == stream.text
    return parts, stream


def test_a_character_comes_whole():
    parts, _ = _pushed("aüb☃𝄞c".encode())
    assert [part for part in parts if part] == list("aüb☃𝄞c")


def test_what_is_no_text_does_not_hold_up_the_rest():
    whole = b"a\xffbc\xe2\x98"
    parts, stream = _pushed(whole)
    assert stream.text == whole.decode(errors="replace")
    assert parts[0] == "a"


@pytest.mark.parametrize("stop", ["cd", "c", "cde", "☃", "b☃"])
def test_the_text_ends_before_a_stop(stop):
    text = "ab☃cdefcd"
    _, stream = _pushed(text.encode(), stops=["zz", stop, ""])
    assert stream.stopped
    assert stream.text == text[: text.index(stop)]


def test_the_first_of_several_stops_counts():
    _, stream = _pushed(b"abcdef", stops=["def", "cd", "f"])
    assert stream.text == "ab"


def test_nothing_of_a_stop_is_shown_before_it_is_certain():
    stream = TextStream(ByteTokenizer(), [1], ["\nUser:", "\n\n"])
    shown = [stream.push(byte) for byte in b"Hi\nUs all\nUser:"]
    assert "".join(shown) == "Hi\nUs all"
    assert shown[2:5] == ["", "", ""]
    assert shown[5] == "\nUs "
    assert stream.stopped


def test_a_stop_in_the_prompt_is_none():
    _, stream = _pushed(b"bc", prompt=b"aa", stops=["ab"])
    assert not stream.stopped
    assert stream.text == "bc"


class _Pieces:
    """SentencePiece: a piece begins with a space that a text has not."""

    def __init__(self, pieces):
        self.pieces = pieces

    def decode(self, tokens):
        return "".join(self.pieces[t] for t in tokens).removeprefix(" ")


def test_spaces_are_those_of_the_whole_text():
    tokenizer = _Pieces([" the", " quick", "er", " fox", ",", " "])
    rng = random.Random(1)
    for _ in range(50):
        ids = [rng.randrange(6) for _ in range(40)]
        stream = TextStream(tokenizer, ids[:1])
        shown = "".join(map(stream.push, ids[1:])) + stream.end()
        assert tokenizer.decode(ids[:1]) + shown == tokenizer.decode(ids)
