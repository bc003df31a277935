import struct

from eisbach.planning.timeline import draw, title


def test_a_step_is_drawn(piped, planned, tmp_path):
    path = tmp_path / "a.png"
    for plan in (piped, planned("parallel.pipeline=1")):
        draw(path, plan)
        head = path.read_bytes()[:24]
        assert head.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", head[16:24])
        assert 100 < height < width
    assert [one.name for one in tmp_path.iterdir()] == ["a.png"]


def test_the_title_says_what_of_it(piped):
    timeline = piped.timeline
    assert title(piped) == (
        f"d2 c1 t2 p2: 2 stages, 1f1b; {timeline.shown} of "
        f"{timeline.micro_batches} micro-batches: the others repeat the middle"
    )
