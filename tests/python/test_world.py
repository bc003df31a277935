import re
import subprocess
import sys

import eisbach
from eisbach.data.prepare import write_token_file
from eisbach.data.tokenizer import ByteTokenizer


def test_a_world_of_one_with_threads_of_its_own():
    world = eisbach.init(device="cpu", threads=1)
    assert (world.rank, world.size) == (0, 1)
    assert world.device.type == "cpu"


def test_every_public_name_is_there():
    for name in eisbach.__all__:
        assert getattr(eisbach, name) is not None
    assert set(eisbach.__all__) <= set(dir(eisbach))


def test_importing_is_quick():
    code = (
        "import sys, eisbach; heavy = {'numpy', 'pydantic', 'eisbach._C'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_code_of_the_page_runs(repo, run, tmp_path):
    """docs/python-api.md, block after block, with the names that it assumes."""
    page = (repo / "docs" / "python-api.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 5
    for name in ("books", "web"):
        text = [b"The quick brown fox jumps over the lazy dog. " * 40]
        write_token_file(tmp_path / "data" / name, text, ByteTokenizer())
    assumed = (
        "import os, numpy as np, torch\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "global_batch, torch_tensor = 16, torch.ones(3)\n"
        "tokens = np.random.default_rng(0).integers(0, 256, (16, 33))\n"
        "array = np.ones((2, 3), np.float32)\n"
    )
    script = tmp_path / "page.py"
    script.write_text(assumed + "\n".join(blocks))
    done = run(script)
    assert not done.returncode, done.stderr
    losses = [
        [float(word) for word in line.split()]
        for line in done.stdout.splitlines()
    ]
    assert len(losses) == 200
    for first, last in ((0, 99), (100, 199)):
        column = 1 if first == 0 else 0
        assert losses[last][column] < losses[first][column] / 2
