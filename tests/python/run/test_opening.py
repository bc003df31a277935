from eisbach.run.opening import fold


def test_lines_are_broken_between_words_at_80_columns():
    path = "/a" * 60
    lines = fold(f"words that go on and on until they reach {path} and end")
    assert lines == [
        "words that go on and on until they reach",
        f"  {path}",
        "  and end",
    ]
    assert max(len(line) for line in fold("word " * 99)) <= 80
    assert fold("") == []
