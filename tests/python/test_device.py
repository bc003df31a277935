import pytest

from eisbach import _C
from eisbach.config import load_config
from eisbach.device import choose_device


def test_auto_takes_the_cpu_where_no_gpu_is_and_says_so(monkeypatch):
    def none(_):
        raise RuntimeError("device cuda: this machine has no driver; install")

    monkeypatch.setattr(_C, "count_devices", none)
    config = choose_device(load_config())
    assert config.run.device == "cpu"
    why = "derived: no GPU to use; `eisbach doctor` says more"
    assert config.origin("run.device") == why


def test_auto_takes_gpus(monkeypatch):
    monkeypatch.setattr(_C, "count_devices", lambda _: 8)
    config = choose_device(load_config())
    assert config.run.device == "cuda"
    assert "8" in config.origin("run.device")


def test_what_is_asked_for_is_kept():
    config = load_config(None, ["run.device=cpu"])
    assert choose_device(config) is config


def test_a_library_that_is_not_there_is_named(run):
    code = "from eisbach import _C; _C.count_devices('cuda')"
    done = run("-c", code)
    assert done.returncode == 1
    assert "libeisbach_cuda.so" in done.stderr
    assert "run.device=cpu" in done.stderr


def test_types_that_are_no_device_are_refused():
    with pytest.raises(ValueError, match="cpu, cuda, meta"):
        _C.count_devices("gpu")
