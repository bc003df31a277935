import numpy as np
import pytest

from eisbach import _C
from eisbach.data.held_out import HeldOut
from eisbach.data.tokenizer import ByteTokenizer


def fill(folder, share, count=20):
    out = HeldOut(folder, ByteTokenizer(), share)
    for i in range(count):
        for part in (1, 2):
            tokens = np.array([i, part, 9])
            out.add(f"c:{i}", tokens, np.array([0, 1, i % 2]), 3)
    return [file.close() and file.prefix for file in out.finish()]


def conversations(prefix):
    file = _C.TokenFile(prefix)
    assert all(
        file.mask(n).tolist() == [0, 1, file[n][0] % 2]
        for n in range(len(file))
    )
    return [int(d[0]) for d in file]


def test_all_documents_of_a_conversation_go_together(tmp_path):
    train, held = map(conversations, fill(tmp_path, 0.1))
    assert len(held) == 4
    assert sorted(train + held) == sorted([*range(20), *range(20)])
    assert not set(train) & set(held)


def test_one_at_least_and_not_all(tmp_path):
    assert len(conversations(fill(tmp_path, 0.01)[1])) == 2
    assert len(fill(tmp_path, 0.0)) == 1
    with pytest.raises(ValueError, match="1 conversations are too few"):
        fill(tmp_path, 0.5, count=1)
