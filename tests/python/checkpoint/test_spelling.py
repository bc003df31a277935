import pytest

from eisbach.checkpoint.spelling import spell_bytes, spell_layout


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (1_445_163, "1.45 MB"),
        (9_994_999, "9.99 MB"),
        (9_995_000, "10.0 MB"),
        (99_950_000, "100 MB"),
        (999_499_999, "999 MB"),
        (999_500_000, "1.00 GB"),
        (12_345 * 10**12, "12345 TB"),
    ],
)
def test_sizes(count, text):
    assert spell_bytes(count) == text


def test_layouts():
    sizes = {"context": 1, "data": 4, "pipeline": 2, "tensor": 1}
    assert spell_layout(sizes) == "p2 d4 t1"
    assert spell_layout({**sizes, "context": 2}) == "p2 d4 c2 t1"
    assert spell_layout({**sizes, "expert": 8}) == "p2 d4 t1 e8"
    assert spell_layout(None) == "-"
