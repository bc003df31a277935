import threading

from eisbach.cli.estimate import Patience


def test_memory_is_told_by_kind_and_rank(eisbach):
    done = eisbach(
        "estimate",
        "configs/gpt_bytes.yaml",
        "run.device=cuda",
        "parallel.pipeline=2",
        "--ranks",
        "4",
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1] == "4 ranks: pipeline 2 x data 2 x tensor 1"
    assert lines[2].startswith("computes in bf16")
    heads = lines[5].split()
    assert heads == [
        "ranks", "numbers", "weights", "masters", "grads", "optim.",
        "activ.", "other", "peak",
    ]  # fmt: skip
    first = lines[6].split()
    assert first[0] == "0-1"
    *kinds, peak = map(float, first[3:])
    assert abs(sum(kinds) - peak) < 0.3  # each is rounded
    assert max(map(len, lines)) <= 80
    (saving,) = (line for line in lines if "host memory" in line)
    # Of the optimizer's two moments and the masters, half on each data rank or
    # all on one.
    state = kinds[1] + kinds[3]
    assert state / 2 - 1 < float(saving.split()[2]) < state + 1


def test_a_file_is_asked_for(eisbach):
    done = eisbach("estimate")
    assert done.returncode == 2
    assert "estimate needs a configuration" in done.stderr


def test_a_long_estimate_says_how_far_it_is(capfd):
    told = threading.Event()

    class Quick(Patience):
        def _say(self, line):
            super()._say(line)
            told.set()

    patience = Quick(every_seconds=0.01)
    patience.at(3, 8)
    with patience:
        assert told.wait(600)
    assert "3 of 8 different ranks are done" in capfd.readouterr().err


def test_a_quick_estimate_says_nothing(capfd):
    with Patience(every_seconds=3600):
        pass
    assert not capfd.readouterr().err
