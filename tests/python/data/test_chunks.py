from eisbach.data.chunks import Chunk, chunks, tasks

TEXT = "".join(chr(0x61 + i % 26) for i in range(103))


def owned(found, overlap):
    """Joins what chunks hold beside what their neighbours see."""
    text = found[0].text
    for chunk in found[1:]:
        assert text[-2 * overlap :] == chunk.text[: 2 * overlap]
        text += chunk.text[2 * overlap :]
    return text


def test_neighbours_see_the_same_text_around_a_cut():
    for step in (1, 5, 40, 200):
        pieces = [TEXT[i : i + step] for i in range(0, len(TEXT), step)]
        for size, overlap in ((10, 3), (20, 1), (50, 49), (200, 5)):
            found = list(chunks(7, pieces, size=size, overlap=overlap))
            assert owned(found, overlap) == TEXT
            assert {chunk.document for chunk in found} == {7}
            assert [c.first for c in found] == [True] + [False] * (
                len(found) - 1
            )
            assert [c.last for c in found] == [False] * (len(found) - 1) + [
                True
            ]
            for chunk in found:
                assert len(chunk.text) <= size + 2 * overlap
                if len(found) > 1:
                    assert len(chunk.text) >= 2 * overlap


def test_an_empty_document_is_a_chunk():
    assert list(chunks(0, [])) == [Chunk(0, "")]
    assert list(chunks(1, ["", ""])) == [Chunk(1, "")]


def test_tasks_hold_about_a_chunk():
    stream = [
        Chunk(i, "x" * length) for i, length in enumerate([4, 4, 9, 1, 2])
    ]
    groups = list(tasks(stream, size=8))
    assert [[c.document for c in group] for group in groups] == [
        [0, 1],
        [2],
        [3, 4],
    ]
    assert list(tasks([])) == []
