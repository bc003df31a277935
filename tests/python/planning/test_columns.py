import pytest

from eisbach.planning.columns import Column, fitted

COLUMNS = [
    Column("", ["1", "10"]),
    Column("layout", ["d8", "d16 t2"], left=True),
    Column("idle", ["1.0%", "2.5%"], spare=2),
    Column("peak", ["40.0%", "39.0%"], spare=1),
    Column("s/step", ["1", "123,456"]),
]


def test_cells_stand_below_one_another():
    lines, left_out = fitted(COLUMNS, 80)
    assert lines == [
        "    layout  idle   peak   s/step",
        " 1  d8      1.0%  40.0%        1",
        "10  d16 t2  2.5%  39.0%  123,456",
    ]
    assert left_out == []


@pytest.mark.parametrize(
    ("width", "widest", "without"),
    [
        (31, 28, []),
        (28, 28, []),
        (27, 23, ["idle"]),
        (22, 19, ["idle", "peak"]),
        (3, 17, ["idle", "peak"]),
    ],
)
def test_what_there_is_no_room_for_goes_in_its_order(width, widest, without):
    lines, left_out = fitted(COLUMNS, width)
    assert left_out == without
    assert max(map(len, lines)) <= max(widest, width)


def test_a_wide_value_widens_its_column():
    lines, _ = fitted(
        [Column("a", ["x" * 90, "y"]), Column("b", ["1", "2"])], 99
    )
    assert [len(line) for line in lines] == [92, 92, 92]
