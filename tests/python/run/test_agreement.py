import pytest

from eisbach import _C
from eisbach.run.agreement import agreed, spell

# Ranks 1 and 2 of 3 fail, each for a cause of its own.
CODE = """
import sys
from eisbach import init
from eisbach.run.agreement import agreed

world = init(device="cpu", threads=1)
with agreed(world):
    pass
try:
    with agreed(world):
        if world.rank:
            raise OSError(f"file-{world.rank} is gone")
except (OSError, ValueError) as error:
    caught = f"{type(error).__name__}: {error}"
texts = [world.broadcast(caught, root=r) for r in range(world.size)]
assert texts == [
    "ValueError: rank 1: file-1 is gone",
    "OSError: file-1 is gone",
    "ValueError: rank 1: file-1 is gone",
], texts
world.finalize()
"""


@pytest.mark.mpi
def test_all_ranks_fail_with_the_cause_of_the_lowest(run):
    done = run("-c", CODE, ranks=3)
    assert done.returncode == 0, done.stderr


def test_alone_an_error_stays_as_it_is():
    world = _C.init("cpu")
    with agreed(world):
        pass
    with pytest.raises(FileNotFoundError, match=r"^a$"), agreed(world):
        raise FileNotFoundError("a")
    with pytest.raises(KeyError), agreed(world):
        raise KeyError("a fault of the program")


def test_errors_of_the_system_name_their_files():
    assert spell(FileNotFoundError(2, "none", "a")) == "a: none"
    assert spell(OSError(18, "no", "a", None, b"b")) == "a -> b: no"
    assert spell(OSError("disk")) == "disk"
    assert spell(ValueError()) == "ValueError"
