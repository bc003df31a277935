import subprocess
import sys

import pytest

from eisbach.data.encode import encode_documents
from eisbach.data.tokenizer import load_tokenizer


def encoded(tokenizer, documents):
    found = [[]]
    for ids, ends in encode_documents(tokenizer, documents):
        found[-1] += ids.tolist()
        if ends:
            found.append([])
    return found[:-1]


@pytest.mark.parametrize("name", ["bytes", "byte_level", "sentence_piece"])
def test_pieces_of_a_document_are_one(name, texts, request):
    path = name if name == "bytes" else request.getfixturevalue(name)
    tokenizer = load_tokenizer(path)
    whole = ["\n".join(texts) * 60, "", "☃"]
    pieces = [[whole[0][i : i + 9999] for i in range(0, len(whole[0]), 9999)]]
    pieces += [[], ["", "☃"]]
    expected = [tokenizer.encode(text.encode()).tolist() for text in whole]
    assert len(whole[0]) > 2**19
    assert encoded(tokenizer, pieces) == expected


# Peak memory in KiB, of making the tokens of so many characters.
PROGRAM = """
import resource, sys
from eisbach.data.encode import encode_documents
from eisbach.data.tokenizer import load_tokenizer
text = "the quick brown fox jumps over the sea " * 1000
pieces = (text for _ in range(int(sys.argv[2])))
count = 0
for ids, _ in encode_documents(load_tokenizer(sys.argv[1]), [pieces]):
    count += len(ids)
assert count > 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("name", ["bytes", "byte_level", "sentence_piece"])
def test_memory_does_not_grow_with_a_document(name, request):
    path = name if name == "bytes" else request.getfixturevalue(name)

    def peak(pieces):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, path, str(pieces)],
            capture_output=True,
            text=True,
            check=True,
            timeout=240,
        )
        return int(done.stdout) * 1024

    small, large = peak(20), peak(120)
    # 3.9 MB more of text, which took 140 times that.
    assert large - small < 12e6
