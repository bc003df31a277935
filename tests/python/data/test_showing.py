import numpy as np
import pytest

from eisbach.data.rules import DocumentRules
from eisbach.data.showing import shown, token_files_of
from eisbach.data.token_files import TokenFile
from eisbach.data.tokenizer import ByteTokenizer


@pytest.fixture
def prefix(tmp_path):
    file = TokenFile(tmp_path / "v1.5", ByteTokenizer(), masked=True)
    for i in range(20):
        text = f"u{i} a{i}\x1b[2J".encode()
        mask = np.arange(len(text)) >= 3
        file.add(np.frombuffer(text, np.uint8), mask, len(text))
    file.close()
    return tmp_path / "v1.5"


def test_what_is_trained_is_marked(prefix):
    lines = list(shown(prefix, ByteTokenizer(), samples=2, colored=False))
    assert lines == [
        f"{prefix}: 20 documents, 200 tokens, 140 of them trained (70.0%)",
        "--- document 0: 9 tokens, 6 trained",
        "u0 >>a0\\x1b[2J<<",
        "--- document 10: 11 tokens, 8 trained",
        "u10>> a10\\x1b[2J<<",
    ]
    colored = list(shown(prefix, ByteTokenizer(), samples=1, colored=True))
    assert colored[-1] == "\x1b[2mu0 \x1b[0m\x1b[32ma0\\x1b[2J\x1b[0m"
    assert (
        len(list(shown(prefix, ByteTokenizer(), samples=99, colored=False)))
        == 41
    )


def test_which_file_is_meant(prefix, tmp_path, byte_level):
    for name in (prefix, f"{prefix}.bin", f"{prefix}.mask"):
        found, tokenizer = token_files_of(type(prefix)(name), None)
        assert found == [prefix]
        assert tokenizer.rules == DocumentRules()
    with pytest.raises(ValueError, match="made by another tokenizer"):
        token_files_of(prefix, byte_level)
    with pytest.raises(ValueError, match="neither the folder of a run nor"):
        token_files_of(tmp_path / "none", None)
    (tmp_path / "v1.5.json").unlink()
    with pytest.raises(ValueError, match="give the tokenizer that made it"):
        token_files_of(prefix, None)
