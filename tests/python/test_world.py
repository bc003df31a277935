import json
import os
import re
import subprocess
import sys

import pytest

import eisbach
from eisbach.data.prepare import write_token_file
from eisbach.data.tokenizer import ByteTokenizer


def test_a_world_of_one_with_threads_of_its_own():
    world = eisbach.init(device="cpu", threads=1)
    assert (world.rank, world.size) == (0, 1)
    assert world.device.type == "cpu"


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("flags", "alone"),
    [
        # What Open MPI does by itself, and what a person asks for.
        (["--prtemca", "hwloc_default_binding_policy", "core"], False),
        (["--bind-to", "core"], True),
    ],
    ids=["default", "asked"],
)
def test_a_lone_rank_is_bound_to_one_core_only_if_asked(launch, flags, alone):
    script = "import eisbach; eisbach.init(); print(eisbach._C.threads())"
    command, environment, cwd = launch("-c", script, ranks=2)
    count = command.index("2")
    command[count - 1 : count + 1] = [*flags, "-n", "1"]
    del environment["OMP_NUM_THREADS"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment,
    )
    assert not done.returncode, done.stderr
    cores = len(os.sched_getaffinity(0))
    assert int(done.stdout) == (1 if alone else cores)


# More threads than a busy or limited machine gives: the products must not
# depend on it.
@pytest.mark.parametrize(
    "limit",
    ["OMP_THREAD_LIMIT=1", "OMP_DYNAMIC=true", "OMP_MAX_ACTIVE_LEVELS=0"],
)
def test_threads_that_are_not_given_are_not_missed(trainer, monkeypatch, limit):
    threads = len(os.sched_getaffinity(0)) + 2
    train = trainer("train.steps=1", "train.validate_every=0")

    def norm(name, threads):
        done, folder = train(name, f"run.threads={threads}")
        assert done.returncode == 0, done.stderr
        line = (folder / "metrics.jsonl").read_text()
        return json.loads(line)["grad_norm"], done.stderr

    expected, quiet = norm("one", 1)
    assert "threads" not in quiet
    name, _, value = limit.partition("=")
    monkeypatch.setenv(name, value)
    got, told = norm("many", threads)
    assert got == pytest.approx(expected, rel=1e-4)
    said = f"computing with 1 of the {threads} threads asked for"
    assert (said in told) == (name != "OMP_DYNAMIC")
    assert name == "OMP_DYNAMIC" or limit in told


# The others are in a collective that rank 1 never joins.
ONE_RANK = """
import os, sys, time
import numpy as np
import eisbach
world = eisbach.init()
for round in range(1000000):
    world.barrier()
    if round == 20:
        open(f"{sys.argv[1]}/{world.rank}", "x").close()
        while len(os.listdir(sys.argv[1])) < world.size:
            time.sleep(0.01)
        if world.rank == 1:
            WRONG
"""


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("raise KeyError('no such shard')", "KeyError: 'no such shard'"),
        ("sys.exit('the licence is over')", "the licence is over"),
        ("world.abort(7, 'a disk is full')", "a disk is full"),
        (
            "eisbach.TokenFile('/nowhere/corpus')",
            "/nowhere/corpus.idx",
        ),
        ("os.kill(os.getpid(), 9)", "signal 9 (Killed)"),
    ],
    ids=["throws", "exits", "aborts", "status", "killed"],
)
def test_a_rank_that_fails_takes_the_others_down(start, tmp_path, wrong, told):
    script, rounds = tmp_path / "one_rank.py", tmp_path / "rounds"
    script.write_text(ONE_RANK.replace("WRONG", wrong))
    rounds.mkdir()
    job = start(script, rounds, ranks=3)
    job.wait_for(lambda: len(list(rounds.iterdir())) == 3)
    errors = job.check_failure()
    assert errors.count(told) == 1, errors


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
    assert len(blocks) == 6
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
    matmul, waiting = losses.pop()  # where the time of one more step went
    assert matmul > 0
    assert waiting == 0
    assert len(losses) == 200
    for first, last in ((0, 99), (100, 199)):
        column = 1 if first == 0 else 0
        assert losses[last][column] < losses[first][column] / 2
