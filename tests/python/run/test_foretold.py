import json
import re

import pytest

from eisbach.hardware import folder
from eisbach.run.foretold import spell_foretold

# On a CPU that has an H100's name and figures.
MACHINE = "dgx-h100"


@pytest.fixture
def machines(tmp_path, monkeypatch):
    """Where this user's machines are."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    place = tmp_path / "eisbach" / "hardware"
    place.mkdir(parents=True)
    return place


def told(run_folder):
    return json.loads((run_folder / "summary.json").read_text())["foretold"]


def lines(done):
    return [line for line in done.stdout.splitlines() if "foretold" in line]


def test_memory_is_foretold_of_every_run(machines, trainer):
    done, run_folder = trainer()("memory")
    assert not done.returncode, done.stderr
    facts = told(run_folder)
    assert facts["hardware"] is facts["step_seconds"] is None
    assert facts["median_step_seconds"] > 0
    # Of tensors that are this small, rounding to 256 bytes is a part.
    assert facts["memory_bytes"] == pytest.approx(
        facts["peak_memory_bytes"], rel=0.05
    )
    (line,) = lines(done)
    assert re.fullmatch(r"rank 0 held \S+ MiB, foretold \S+", line)


@pytest.mark.mpi
@pytest.mark.parametrize("key", ["parallel.zero=2", "parallel.zero=3"])
def test_memory_of_ranks_that_divide_is_foretold(machines, trainer, key):
    done, run_folder = trainer()(
        "divided", key, "model.hidden=128", "train.micro_batch=4", ranks=2
    )
    assert not done.returncode, done.stderr
    facts = told(run_folder)
    assert facts["memory_bytes"] == pytest.approx(
        facts["peak_memory_bytes"], rel=0.02
    )


def test_a_step_is_foretold_where_the_machine_was_measured(machines, trainer):
    text = (folder() / f"{MACHINE}.yaml").read_text()
    mine = machines / "this-machine.yaml"
    mine.write_text(text.replace("name: DGX H100", "name: mine"))
    train = trainer("run.threads=1")
    done, run_folder = train("measured")
    facts = told(run_folder)
    assert facts["hardware"] == "mine"
    assert 0 < facts["step_seconds"] < facts["median_step_seconds"]
    (line,) = lines(done)
    assert re.search(r"; a step took \S+ s, foretold \S+$", line)
    done, run_folder = train("told-none", "run.hardware=none")
    assert told(run_folder)["hardware"] is None
    done, run_folder = train("named", f"run.hardware={MACHINE}")
    assert told(run_folder)["hardware"] == "DGX H100"
    # It is damaged: a warning, and the run is as before.
    mine.write_text("name: 3\n")
    done, run_folder = train("damaged")
    assert not done.returncode
    assert told(run_folder) is None
    assert "the forecast is left out" in done.stderr + done.stdout


def test_a_machine_that_is_unknown_is_said_at_once(trainer):
    done, run_folder = trainer()("unknown", "run.hardware=dgx-h10")
    assert done.returncode != 0
    assert "run.hardware: there is no machine of that name" in done.stderr
    assert "did you mean dgx-h100?" in done.stderr
    assert not run_folder.exists()


def test_the_line_fits_a_terminal():
    line = spell_foretold(
        {
            "memory_bytes": 123_456 * 2**20,
            "peak_memory_bytes": 123_457 * 2**20,
            "step_seconds": 123.4,
            "median_step_seconds": 0.01234,
            "hardware": "mine",
        }
    )
    assert line == (
        "rank 0 held 123,457 MiB, foretold 123,456; a step took 0.0123 s, "
        "foretold 123"
    )
    assert len(line) <= 80
