"""What is exported: a run's model, a checkpoint of any layout, a folder."""

import shutil

import numpy as np
import pytest

from eisbach.export import read_model
from eisbach.export.source import find_source


@pytest.fixture(scope="module")
def run_folder(trainer):
    """A run on two ranks that share each layer, with two checkpoints."""
    done, folder = trainer("checkpoint.every_steps=2", "train.steps=4")(
        "divided",
        "parallel.tensor=2",
        "optimizer.warmup_steps=1",
        "train.ema=0.5",
        ranks=2,
    )
    assert not done.returncode, done.stderr
    return folder


@pytest.mark.mpi
def test_the_last_checkpoint_is_the_model(run_folder):
    model = find_source(run_folder)
    assert (model.step, model.path) == (None, run_folder / "model")
    last = find_source(run_folder, checkpoint=4)
    assert last.step == 4
    assert last.model.hidden == model.model.hidden
    assert last.parameters.keys() == model.parameters.keys()
    for name, value in model.parameters.items():
        np.testing.assert_array_equal(last.parameters[name], value, name)
    earlier = find_source(run_folder / "checkpoints" / "step-00000002")
    assert (earlier.step, earlier.named, earlier.home) == (2, True, run_folder)
    assert any(
        np.any(earlier.parameters[name] != value)
        for name, value in model.parameters.items()
    )


@pytest.mark.mpi
def test_an_average_is_that_of_a_checkpoint(run_folder):
    model, average = (
        find_source(run_folder),
        find_source(run_folder, average=True),
    )
    assert average.step == 4
    assert average.parameters.keys() == model.parameters.keys()
    before = find_source(run_folder, checkpoint=2)
    for name, last in model.parameters.items():
        # Of the last step the average has half.
        mean = average.parameters[name]
        assert np.any(mean != last), name
        far = np.abs(before.parameters[name] - last).max()
        assert np.abs(mean - last).max() <= far * 1.5, name


@pytest.mark.mpi
def test_a_run_without_a_model_has_its_newest_checkpoint(run_folder, tmp_path):
    copy = shutil.copytree(run_folder, tmp_path / "copy")
    shutil.rmtree(copy / "model")
    assert find_source(copy).step == 4
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(ValueError, match="no checkpoint"):
        find_source(copy)


@pytest.mark.mpi
def test_a_step_without_a_checkpoint(run_folder):
    with pytest.raises(ValueError, match=r"step 3; nearest that works: 2 or 4"):
        find_source(run_folder, checkpoint=3)


def test_a_folder_of_something_else(tmp_path):
    with pytest.raises(ValueError, match="neither a run folder, nor"):
        find_source(tmp_path)


@pytest.mark.mpi
def test_a_checkpoint_that_is_no_runs_says_what_it_is(run_folder, tmp_path):
    step = run_folder / "checkpoints" / "step-00000002"
    shutil.copytree(step, tmp_path / step.name)
    alone, of_run = find_source(tmp_path / step.name), find_source(step)
    assert alone.home == tmp_path
    assert alone.model == of_run.model
    assert alone.tokenizer.name == of_run.tokenizer.name == "bytes"
    for name, value in of_run.parameters.items():
        np.testing.assert_array_equal(alone.parameters[name], value, name)
    assert find_source(f"{run_folder}@2").path == of_run.path


@pytest.mark.mpi
def test_a_model_folder(run_folder):
    source = find_source(run_folder / "model")
    assert source.path == run_folder / "model"
    assert source.tokenizer.name == "bytes"
    assert source.model == read_model(source.path).model
