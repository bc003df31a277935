import numpy as np
import pytest

from eisbach import _C


@pytest.fixture
def write(tmp_path):
    def write(name, documents, dtype="u16", **options):
        writer = _C.TokenFileWriter(
            str(tmp_path / name), dtype=dtype, **options
        )
        for document in documents:
            writer.add_document(np.asarray(document))
        writer.close()
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("dtype", ["u8", "u16", "i32"])
def test_token_files_come_back(write, dtype):
    documents = [[1, 2, 3], [250], [], [4, 5]]
    file = _C.TokenFile(write("a", documents, dtype))
    assert (len(file), file.tokens, file.dtype) == (4, 6, dtype)
    assert [file[i].tolist() for i in range(-4, 0)] == documents
    file.check_vocab(251)
    with pytest.raises(ValueError, match="250"):
        file.check_vocab(250)
    with pytest.raises(IndexError):
        file[4]


def test_an_end_of_document_is_added(write):
    file = _C.TokenFile(write("a", [[1], [2, 3]], end_of_document=9))
    assert [document.tolist() for document in file] == [[1, 9], [2, 3, 9]]


@pytest.mark.parametrize("ids", [[300], [-1]])
def test_tokens_that_do_not_fit(tmp_path, ids):
    writer = _C.TokenFileWriter(str(tmp_path / "a"), dtype="u8")
    with pytest.raises(ValueError, match=str(ids[0])):
        writer.add_document(np.array(ids))
    with pytest.raises(ValueError, match="32 bits"):
        writer.add_document(np.array([2**40]))
    with pytest.raises(ValueError, match="32 bits"):
        writer.add_document(np.array([-(2**40)]))
    with pytest.raises(TypeError, match="integers"):
        writer.add_document(np.array([1.5]))
    assert not list(tmp_path.glob("a.idx"))


def test_missing_and_damaged_files(write, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.idx"):
        _C.TokenFile(str(tmp_path / "nowhere"))
    prefix = write("a", [[1, 2, 3]])
    (tmp_path / "a.bin").write_bytes(b"\x01")
    with pytest.raises(ValueError, match=r"a\.bin"):
        _C.TokenFile(prefix)


def corpus(prefix, **changes):
    options = {"context": 4, "vocab": 1000, "seed": 1, **changes}
    return _C.Corpus([(prefix, 1.0)], **options)


def rows(loader, steps, device):
    found = []
    for _ in range(steps):
        batch = loader.next(device)
        tokens, targets = batch.tokens.numpy(), batch.targets.numpy()
        np.testing.assert_array_equal(tokens[:, 1:], targets[:, :-1])
        found += zip(
            batch.samples.numpy().tolist(), tokens.tolist(), strict=True
        )
    return dict(found)


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_share_the_samples_of_one(write, world, size):
    prefix = write("a", [range(100 * i, 100 * i + 50) for i in range(8)])
    alone = _C.DataLoader(corpus(prefix), global_batch=6)
    expected = rows(alone, 5, world.device)
    assert sorted(expected) == list(range(30))
    found = {}
    for rank in range(size):
        loader = _C.DataLoader(
            corpus(prefix), global_batch=6, data_rank=rank, data_size=size
        )
        assert loader.samples_per_rank == 6 // size
        found |= rows(loader, 5, world.device)
    assert found == expected


def test_seek_and_order(write, world):
    prefix = write("a", [range(500)])
    loader = _C.DataLoader(corpus(prefix), global_batch=4)
    expected = rows(loader, 6, world.device)
    loader.seek(3)
    assert loader.step == 3
    later = rows(loader, 3, world.device)
    assert later == {k: v for k, v in expected.items() if k >= 12}
    other = _C.DataLoader(corpus(prefix, seed=2), global_batch=4)
    assert rows(other, 6, world.device) != expected
    fixed = [
        rows(
            _C.DataLoader(
                corpus(prefix, seed=seed, shuffled=False), global_batch=4
            ),
            3,
            world.device,
        )
        for seed in (1, 2)
    ]
    assert fixed[0] == fixed[1]


def test_bad_data_is_an_error(write, world):
    prefix = write("a", [range(500)])
    with pytest.raises(ValueError, match="3"):
        _C.DataLoader(corpus(prefix), global_batch=4, data_size=3)
    with pytest.raises(ValueError, match="499"):
        corpus(prefix, vocab=499).check_vocab()
    with pytest.raises(ValueError, match="a"):
        corpus(prefix, context=1000)


def test_a_batch_of_ones_own(world):
    tokens = np.arange(6).reshape(2, 3)
    batch = _C.Batch(tokens, tokens + 1, world.device)
    assert batch.tokens.dtype == "i32"
    assert batch.targets.numpy().tolist() == [[1, 2, 3], [4, 5, 6]]
    assert batch.samples.numpy().tolist() == [0, 1]
    with pytest.raises(ValueError, match="shape"):
        _C.Batch(tokens[0], tokens[0], world.device)
    listed = _C.Batch([[0, 1], [2, 3]], ((1, 2), (3, -100)), world.device)
    assert listed.targets.numpy().tolist() == [[1, 2], [3, -100]]
    lengths = r"tokens are \[2, 3\] and targets \[2, 2\]"
    with pytest.raises(ValueError, match=lengths):
        _C.Batch(tokens, tokens[:, :2], world.device)
    with pytest.raises(ValueError, match=r"samples are \[2\].*not \[1\]"):
        _C.Batch(tokens, tokens, world.device, samples=[4])
    with pytest.raises(ValueError, match=r"samples\[1\]=-1"):
        _C.Batch(tokens, tokens, world.device, samples=[4, -1])
    with pytest.raises(TypeError, match="integers"):
        _C.Batch(tokens * 1.0, tokens, world.device)
    for dtype, id in ((np.int64, 2**40), (np.int64, -(2**31) - 1)):
        wide = tokens.astype(dtype)
        wide[1, 2] = id
        with pytest.raises(ValueError, match=f"{id} at position 2 of row 1"):
            _C.Batch(wide, tokens, world.device)


def test_a_writer_takes_lists_and_nothing_once_closed(tmp_path):
    writer = _C.TokenFileWriter(tmp_path / "a", dtype="u8")
    writer.add_document([1, 2, 3])
    writer.close()
    for call in (
        writer.close,
        writer.end_document,
        lambda: writer.add_document([1]),
        lambda: writer.append([1]),
    ):
        with pytest.raises(RuntimeError, match="is closed"):
            call()
    file = _C.TokenFile(tmp_path / "a")
    assert file[0].tolist() == [1, 2, 3]
    for document in (-1, 1, 2**62):
        with pytest.raises(IndexError):
            file.document_length(document)
    with pytest.raises(ValueError, match="vocab=0"):
        file.check_vocab(0)


def test_a_batch_that_no_memory_holds_is_refused(write):
    with pytest.raises(ValueError, match=r"more than 2\^31 tokens"):
        _C.DataLoader(corpus(write("a", [range(500)])), global_batch=2**50)


def test_masks_come_back_and_hold(tmp_path, world):
    writer = _C.TokenFileWriter(
        tmp_path / "a", dtype="u8", end_of_document=9, masked=True
    )
    writer.append([1, 2], [0, 1])
    writer.append(np.array([3]))
    writer.end_document()
    writer.add_document([4, 5, 6], np.array([0, 0, 1], dtype=np.uint8))
    for mask, why in (
        ([1], r"mask is \[2\], a value for each token, not \[1\]"),
        ([[1, 0]], r"not \[1, 2\]"),
        ([0, 2], r"mask\[1\]=2 is neither"),
    ):
        with pytest.raises(ValueError, match=why):
            writer.add_document([1, 2], mask)
    with pytest.raises(TypeError, match="integers"):
        writer.add_document([1, 2], [0.5, 1.0])
    writer.close()
    file = _C.TokenFile(tmp_path / "a")
    assert (file.masked, file.tokens, file.trained) == (True, 8, 5)
    assert file.mask(0).tolist() == [0, 1, 1, 1]
    assert file.mask(1).tolist() == [0, 0, 1, 1]
    for document in (-1, 2):
        with pytest.raises(IndexError):
            file.mask(document)

    packed = corpus(tmp_path / "a", context=8)
    assert (packed.separate, packed.trained, packed.epoch_samples) == (
        True,
        5,
        1,
    )
    assert packed.source_samples == [1]
    assert packed.split_documents == 0
    batch = _C.DataLoader(packed, global_batch=1).next(world.device)
    assert batch.tokens.numpy().tolist() == [[1, 2, 3, 4, 5, 6, 0, 0]]
    assert batch.targets.numpy().tolist() == [[2, 3, 9, -1, 6, 9, -1, -1]]
    assert batch.starts.dtype == "i32"
    assert batch.starts.numpy().tolist() == [[0, 0, 0, 3, 3, 3, 6, 7]]

    joined = corpus(tmp_path / "a", documents="joined")
    assert not joined.separate
    batch = _C.DataLoader(joined, global_batch=1).next(world.device)
    assert batch.starts is None
    with pytest.raises(ValueError, match="documents=x is none of auto, joined"):
        corpus(tmp_path / "a", documents="x")


def test_starts_of_ones_own(world):
    tokens = np.zeros((2, 4), int)
    starts = [[0, 0, 2, 3], [0, 1, 1, 1]]
    batch = _C.Batch(tokens, tokens, world.device, starts=starts)
    assert batch.starts.numpy().tolist() == starts
    assert _C.Batch(tokens, tokens, world.device).starts is None
    for wrong, why in (
        ([[0, 0, 2, 3]], r"starts \[1, 4\]"),
        ([[0, 0, 2, 3], [0, 2, 2, 2]], r"starts\[1, 1\]=2 is no start"),
        ([[0, 0, 2, 0], [0, 0, 0, 0]], r"starts\[0, 3\]=0 is no start"),
        ([[1, 1, 1, 1], [0, 0, 0, 0]], r"starts\[0, 0\]=1 is no start"),
    ):
        with pytest.raises(ValueError, match=why):
            _C.Batch(tokens, tokens, world.device, starts=wrong)
