import re

import pytest

LINE = re.compile(r"step +(\d+)  loss (\S+)  grad_norm (\S+)")


@pytest.fixture(scope="module")
def losses(run):
    """Runs the example; returns loss and gradient norm of each step."""

    def losses(ranks):
        done = run(
            "examples/custom_model.py", "--steps", "15", "--compute", "f32",
            ranks=ranks,
        )  # fmt: skip
        assert not done.returncode, done.stderr
        found = LINE.findall(done.stdout)
        assert [int(step) for step, _, _ in found] == list(range(1, 16))
        return [float(x) for _, *values in found for x in values]

    return losses


@pytest.mark.mpi
def test_every_number_of_ranks_gives_the_same_losses(losses):
    alone = losses(1)
    assert alone[-2] < alone[0] - 1.5
    for ranks in (2, 4):
        assert losses(ranks) == pytest.approx(alone, rel=1e-4)
