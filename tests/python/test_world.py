import subprocess
import sys

import eisbach


def test_a_world_of_one_with_threads_of_its_own():
    world = eisbach.init(device="cpu", threads=1)
    assert (world.rank, world.size) == (0, 1)
    assert world.device.type == "cpu"


def test_every_public_name_is_there():
    for name in eisbach.__all__:
        assert getattr(eisbach, name) is not None
    assert set(eisbach.__all__) <= set(dir(eisbach))


def test_importing_is_quick():
    code = (
        "import sys, eisbach; heavy = {'numpy', 'pydantic', 'eisbach._C'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
