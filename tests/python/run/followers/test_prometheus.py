import urllib.error
import urllib.request

import pytest

from eisbach.run.followers import make


@pytest.fixture
def follower(folder):
    made = make("prometheus", folder, port=0)
    yield made
    made.close()


def get(follower, path="/metrics"):
    url = f"http://127.0.0.1:{follower.port}{path}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def test_the_newest_figures_are_text(follower):
    assert get(follower) == ("text/plain; version=0.0.4", "")
    follower.send("train", [{"step": 1, "loss": 3.0}])
    follower.send("train", [{"step": 2, "loss": 2.5}, {"step": 3, "loss": 2}])
    _, text = get(follower)
    assert text == (
        '# TYPE eisbach_train_step gauge\neisbach_train_step{run="a"} 3\n'
        '# TYPE eisbach_train_loss gauge\neisbach_train_loss{run="a"} 2.0\n'
    )


def test_it_listens_on_this_machine_alone(follower):
    assert follower._server.server_address[0] == "127.0.0.1"


def test_other_pages_are_not_there(follower):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(follower, "/etc/passwd")


def test_a_port_in_use_is_named(follower, folder):
    with pytest.raises(OSError, match=f":{follower.port}: Address already"):
        make("prometheus", folder, port=follower.port)
