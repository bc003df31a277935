import json
import threading
from types import SimpleNamespace

import pytest

from eisbach.config import load_config
from eisbach.data.tokenizer import ByteTokenizer
from eisbach.preparing import prepare_on_hosts


class Ranks:
    """A world of threads: broadcasts alone."""

    def __init__(self, hosts):
        self.locations = [SimpleNamespace(host=host) for host in hosts]
        self._barrier = threading.Barrier(len(hosts))
        self._text = ""

    def world(self, rank):
        def broadcast(text, *, root=0):
            self._barrier.wait(60)
            if rank == root:
                self._text = text
            self._barrier.wait(60)
            found = self._text
            self._barrier.wait(60)
            return found

        return SimpleNamespace(rank=rank, broadcast=broadcast)

    def run(self, config):
        """What each rank finds, or the text of its error."""
        found = [None] * len(self.locations)

        def work(rank):
            try:
                found[rank] = prepare_on_hosts(
                    config, ByteTokenizer(), self.world(rank), self.locations
                )
            except ValueError as error:
                found[rank] = str(error)

        threads = [
            threading.Thread(target=work, args=(rank,))
            for rank in range(len(found))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found


@pytest.fixture
def prepared(monkeypatch):
    """Which threads have prepared the text, and what they told."""
    called = []

    def locate(config, tokenizer, *, say):
        from eisbach.data.sources import Located

        number = len(called)
        called.append(threading.current_thread())
        if str(number) == config.run.name:
            raise ValueError(f"host {number} has no disk")
        return Located([(f"files-{number}", 1.0)], [(f"held-{number}", 2.0)])

    monkeypatch.setattr("eisbach.preparing.locate", locate)
    return called


def test_one_rank_of_each_host_prepares(prepared):
    ranks = Ranks(["a", "a", "b", "a", "b"])
    found = ranks.run(load_config(None, []))
    assert len(prepared) == 2
    assert [f.train for f in found] == [
        [(f"files-{host}", 1.0)] for host in (0, 0, 1, 0, 1)
    ]
    assert found[4].validation == [("held-1", 2.0)]


@pytest.mark.parametrize("host", ["0", "1"])
def test_a_failure_is_that_of_all_ranks(prepared, host):
    ranks = Ranks(["a", "a", "b", "b"])
    found = ranks.run(load_config(None, [f"run.name='{host}'"]))
    assert found == [f"host {host} has no disk"] * 4


@pytest.mark.mpi
def test_a_run_prepares_a_folder(trainer, tmp_path):
    (tmp_path / "books").mkdir()
    for name in ("a.txt", "b.md"):
        (tmp_path / "books" / name).write_text("the quick brown fox " * 400)
    (tmp_path / "books" / "c.png").write_text("x")
    train = trainer(
        "train.steps=2", f"data.train={tmp_path}/books", "data.validation=auto"
    )
    done, folder = train("books", ranks=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("took 1 .md, 1 .txt; left out 1 .png") == 1
    assert done.stdout.count("of the tokens") == 1
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["validation_loss"] is not None
