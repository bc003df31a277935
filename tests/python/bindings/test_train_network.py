import pytest

from eisbach import _C


@pytest.fixture
def locations(world):
    return _C.gather_locations(world)


def test_a_rank_knows_where_it_runs(locations):
    [at] = locations
    assert at.rank == 0
    assert at.host
    assert at.domain == f"{at.host} memory"
    assert at.domain_source == "ranks of a host share its memory"
    assert at.cores
    assert at.threads >= 1
    assert at.numa_node >= -1
    table = _C.rank_table(locations)
    assert at.host in table
    assert "domain 0: rank 0" in table


def test_ranks_are_placed(locations):
    assert _C.place_ranks(locations, tensor=1) == [0]
    assert _C.tensor_sizes_inside(locations) == [1]
    assert _C.crossing_text(_C.Mesh(1), locations) == ""
    assert _C.context_neighbours(_C.Mesh(1), locations) == 1
    with pytest.raises(ValueError, match="of 1 ranks, and there are 2"):
        _C.context_neighbours(_C.Mesh(2, context=2), locations)
    mesh = _C.Mesh(4, tensor=2, placement=[0, 2, 1, 3])
    assert [mesh.coordinate(rank, "data") for rank in range(4)] == [0, 1, 0, 1]
    assert "0 2" in mesh.rank_map()
    with pytest.raises(ValueError, match="each of 4 ranks once"):
        _C.Mesh(4, placement=[0, 1, 2, 2])


def test_a_device_is_measured(world, locations):
    report = _C.check_network(world, locations)
    assert report.rounds == 0
    assert report.outliers(locations) == []
    table = report.table(locations)
    assert "GFLOP/s" in table
    assert "copy" in table
