import subprocess
import sys
import textwrap

import numpy as np
import pytest

from eisbach import _C

RANKS = 3
PROGRAM = """
    import numpy as np
    import eisbach

    world = eisbach.init()
    group = world.communicator
    assert (world.size, world.backend) == (3, "mpi")
    assert (world.local_rank, world.local_size) == (world.rank, 3)

    def tensor(values, dtype=np.float32):
        values = np.asarray(values, dtype)
        return eisbach.Tensor.from_numpy(values, world.device)

    x = tensor([world.rank, 10 * world.rank])
    group.all_reduce(x)
    assert x.numpy().tolist() == [3, 30]
    x = tensor([world.rank], np.int64)
    group.all_reduce(x, "max")
    assert x.numpy().tolist() == [2]
    x, all_of_it = tensor([world.rank]), tensor([0] * 3)
    group.all_gather(x, all_of_it)
    assert all_of_it.numpy().tolist() == [0, 1, 2]
    piece = tensor([0])
    group.reduce_scatter(tensor([1, 2, 3]), piece)
    assert piece.numpy().tolist() == [3 * (world.rank + 1)]
    pieces = tensor([0] * 3)
    group.all_to_all(tensor([10 * world.rank + i for i in range(3)]), pieces)
    assert pieces.numpy().tolist() == [10 * i + world.rank for i in range(3)]
    x = tensor([world.rank])
    group.broadcast(x, root=2)
    assert x.numpy().tolist() == [2]
    text = "größe" * 1000 if world.rank == 1 else "other"
    assert world.broadcast(text, root=1) == "größe" * 1000
    assert world.broadcast("" if world.rank == 0 else "other") == ""
    world.barrier()
    print(f"rank {world.rank} done", flush=True)
"""
FAILING = """
    import time
    import eisbach

    world = eisbach.init()
    if world.rank == 1:
        raise ValueError("for a reason")
    world.barrier()
"""


@pytest.mark.mpi
def test_collectives_of_processes(run):
    done = run("-c", textwrap.dedent(PROGRAM), ranks=RANKS)
    assert not done.returncode, done.stderr
    lines = sorted(done.stdout.split("\n")[:RANKS])
    assert lines == [f"rank {i} done" for i in range(RANKS)]


@pytest.mark.mpi
def test_a_rank_that_throws_takes_the_others_down(run):
    done = run("-c", textwrap.dedent(FAILING), ranks=2)
    assert done.returncode != 0
    assert done.stderr.count("ValueError: for a reason") == 1


def test_a_world_of_one(world):
    assert (world.rank, world.size, world.backend) == (0, 1, "local")
    assert world.broadcast("text") == "text"
    x = _C.Tensor.from_numpy(np.ones(3, np.float32), world.device)
    world.communicator.all_reduce(x)
    assert x.numpy().tolist() == [1, 1, 1]
    world.barrier()
    with pytest.raises(ValueError, match="op=mean"):
        world.communicator.all_reduce(x, "mean")
    with pytest.raises(ValueError, match="root"):
        world.communicator.broadcast(x, root=1)


def test_a_simulated_world():
    world = _C.sim_world(5, 8)
    assert (world.rank, world.size, world.backend) == (5, 8, "sim")
    assert world.device.type == "meta"
    mesh = _C.Mesh(8, tensor=2, pipeline=2)
    context = _C.ParallelContext(world, mesh)
    assert context.tensor.size == 2
    with pytest.raises(ValueError, match="device"):
        _C.init("gpu")


def test_what_needs_the_ranks_is_refused_after_the_end():
    program = """
import tempfile, eisbach, numpy as np
world = eisbach.init()
small = {"layers": 1, "hidden": 8, "heads": 2, "context": 4, "vocab": 9}
config = eisbach.engine_config(eisbach.make_config(
    model=small, train={"steps": 4, "global_batch": 2, "micro_batch": 2}))
context = eisbach.ParallelContext(world, eisbach.Mesh(1))
engine = eisbach.Engine(config, context)
update = eisbach.Update(
    [eisbach.Parameter("p", (2,))], config.update, context)
tokens = np.zeros((2, 4), int)
batch = eisbach.Batch(tokens, tokens, world.device)
arrays, folder = engine.gather(), tempfile.mkdtemp()
decoder = eisbach.Decoder(engine)
one = eisbach.Tensor.zeros((1,), "f32", world.device)
world.finalize()
world.finalize()
for call in (
    lambda: engine.step(batch), lambda: engine.submit(batch),
    lambda: engine.evaluate(batch), lambda: engine.logits(tokens),
    lambda: decoder.generate([[1]], tokens=1), engine.gather,
    lambda: engine.scatter(arrays), lambda: engine.save(folder),
    lambda: update.begin_step(), lambda: update.finish(),
    lambda: eisbach.Engine(config, context), world.barrier,
    lambda: eisbach.ParallelContext(world, eisbach.Mesh(1)),
    lambda: world.communicator.all_reduce(one),
    lambda: world.communicator.barrier(), lambda: world.broadcast("x"),
):
    try:
        call()
    except RuntimeError as error:
        assert "world.finalize" in str(error), error
    else:
        raise AssertionError("taken")
assert np.isfinite(engine.parameters[0].master.numpy()).all()
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr
