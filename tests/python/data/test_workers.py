import functools
import os
import signal

import numpy as np
import pytest

from eisbach.data import workers as module
from eisbach.data.chunks import Chunk, tasks
from eisbach.data.stitch import encode_chunks
from eisbach.data.tokenizer import load_tokenizer
from eisbach.data.workers import Workers


@pytest.fixture
def tokenizer(byte_level, monkeypatch):
    monkeypatch.setattr(module, "_ALONE", 1)
    return load_tokenizer(byte_level, special_tokens="tokens")


@pytest.fixture
def work(tokenizer):
    return functools.partial(encode_chunks, tokenizer)


def stream(count):
    return [
        Chunk(i, f"{'the sea ' * 20_000}{i}<|endoftext|>") for i in range(count)
    ]


def test_processes_give_the_same_in_order(tokenizer, work):
    expected = [chunk.text.encode() for chunk in stream(7)]
    with Workers(work, 3) as several:
        found = list(several.done(tasks(stream(7))))
        assert len(several._workers) == 3
    assert [chunk.document for chunk, _ in found] == list(range(7))
    for text, (_, encoded) in zip(expected, found, strict=True):
        # The rules have travelled, too.
        assert encoded.ids[-1] == 0
        np.testing.assert_array_equal(encoded.ids, tokenizer.encode(text))


def test_one_process_starts_no_other(work):
    with Workers(work, 1) as alone:
        assert len(list(alone.done(tasks(stream(3))))) == 3
        assert not alone._workers


def test_an_error_of_a_worker_is_that_of_the_caller(work):
    bad = [*stream(2), Chunk(2, "\ud800")]
    with pytest.raises(TypeError), Workers(work, 2) as several:
        list(several.done(tasks(bad)))


def test_no_worker_is_left(work):
    with Workers(work, 2) as several:
        found = several.done(tasks(stream(9)))
        for _ in range(4):
            next(found)
        processes = [worker._process for worker in several._workers]
    assert len(processes) == 2
    assert all(process.poll() is not None for process in processes)


def test_a_lost_worker_is_told(work):
    with Workers(work, 2) as several:
        found = several.done(tasks(stream(9)))
        for _ in range(3):
            next(found)
        for worker in several._workers:
            os.kill(worker._process.pid, signal.SIGKILL)
        with pytest.raises(
            RuntimeError, match=r"ended by signal 9.*--processes 1"
        ):
            list(found)
