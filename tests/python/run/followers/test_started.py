import socket
import time
import urllib.request

import pytest

from eisbach.run.followers.started import Followers


@pytest.fixture
def start(folder, monkeypatch):
    """Starts followers; they are looked at in every step."""
    monkeypatch.setattr("eisbach.run.followers.started._LOOK_SECONDS", 0)
    monkeypatch.setattr("eisbach.run.followers.started._CLOSING_SECONDS", 60)
    made = []

    def start(*names, port=0):
        made.append(Followers(folder, names, port))
        return made[-1]

    yield start
    for followers in made:
        followers.close()


def wait_for(followers, what):
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline
        followers.step()
        time.sleep(0.05)


def test_a_follower_hears_of_every_line_before_it_ends(start, told):
    followers = start("mlflow", "wandb")
    followers.close()
    lines = told()
    assert ["metric", "r1", "train/loss", 1.0, 3] in lines
    assert ["log", {"step": 3, "train/loss": 1.0, "train/skipped": 0}] in lines
    assert ["end", "r1"] in lines
    assert ["end"] in lines


def test_one_that_dies_is_told_and_no_harm(start, told, packages, capfd):
    broken = packages / "mlflow" / "__init__.py"
    broken.write_text("raise RuntimeError('the server is on fire')")
    followers = start("mlflow", "wandb")
    wait_for(followers, lambda: "mlflow" not in followers._running)
    followers.close()
    errors = capfd.readouterr().err
    assert errors.count("the run goes on without mlflow") == 1
    assert "the server is on fire" in errors
    assert "--to mlflow` starts it again" in errors
    assert ["end"] in told()  # the other one


def test_prometheus_answers_while_the_run_goes(start):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    followers = start(port=port)

    def answers():
        url = f"http://127.0.0.1:{port}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return b'eisbach_train_step{run="a"} 3' in answer.read()
        except OSError:
            return False

    wait_for(followers, answers)


def test_a_port_in_use_is_a_note(start, capfd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        followers = start(port=taken.getsockname()[1])
        wait_for(followers, lambda: not followers._running)
    errors = capfd.readouterr().err
    assert errors.count("\n") == 1
    assert "goes on without prometheus" in errors
    assert "Address already in use" in errors
