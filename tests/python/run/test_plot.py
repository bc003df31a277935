import numpy as np
import pytest

from eisbach.run.folder import RunFolder
from eisbach.run.plot import curve, limits, plot_folder, plot_loss, smooth, thin


def lines(count, loss=lambda i: 3 + 8 * np.exp(-i / 20)):
    return [
        {"step": i, "loss": float(loss(i)), "learning_rate": 1e-3}
        for i in range(1, count + 1)
    ]


def test_the_first_steps_do_not_press_the_rest():
    _, loss = curve(lines(1000))
    low, high = limits([loss])
    assert low < 3
    assert high < 3.1  # the loss began at 10.6


@pytest.mark.parametrize("count", [0, 1, 19])
def test_of_few_steps_all_are_shown(count):
    assert limits([curve(lines(count))[1]]) is None


def test_a_validation_is_never_cut_off():
    _, loss = curve(lines(1000))
    low, high = limits([loss, np.array([5.0])])
    assert low < 3
    assert high > 5


def test_a_loss_without_a_value_is_left_out():
    known = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": None}]
    at, loss = curve(known)
    assert at.tolist() == [1]
    assert loss.tolist() == [2]


def test_smoothing_keeps_level_and_takes_noise():
    noise = np.random.default_rng(1).normal(size=2000)
    even = smooth(5 + noise)
    assert even[1000:].std() < 0.4 * noise.std()
    assert even[1000:].mean() == pytest.approx(5, abs=0.1)
    assert smooth(np.array([7.0]))[0] == 7


def test_thinning_keeps_the_last_point():
    steps = np.arange(1.0, 10_001)
    at, values = thin(steps, 2 * steps)
    assert len(at) <= 2000
    assert at[-1] == 10_000
    assert (values == 2 * at).all()


@pytest.mark.parametrize("count", [1, 500])
def test_the_picture_replaces_the_one_before(tmp_path, count):
    path = tmp_path / "loss.png"
    path.write_text("old")
    checks = [{"step": 1, "loss": 3.0, "bits_per_byte": 4.3}]
    plot_loss(path, lines(count), checks, title="a")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["loss.png"]


def test_a_folder_without_a_step_has_no_picture(tmp_path):
    plot_folder(RunFolder(tmp_path))
    assert list(tmp_path.iterdir()) == []
