import json
import re

from eisbach.planning.document import document
from eisbach.planning.misfit import freed, nothing_fits


def test_the_least_memory_and_what_would_fit_are_told(planned, too_large):
    assert not too_large.found.fitting
    misfit, says = too_large.misfit, nothing_fits(too_large)
    least = misfit.least.forecast.memory
    assert least > 0.9 * too_large.machine.memory_bytes
    assert says.startswith(
        "nothing fits: of the 74.5 GiB of a device tensors may take 67.1 GiB, "
        f"and the least that any layout takes is {least / 2**30:.1f} GiB: d1 "
    )
    state = re.search(r"and optimizer alone are ([\d.]+) GiB, what", says)
    assert 67.1 < float(state[1]) <= least / 2**30
    assert misfit.context is None
    assert "model.context" not in says
    assert f"nearest that works: {misfit.devices:,} devices" in says
    keys = ("model.layers=16", "model.hidden=12288", "model.heads=96",
            "parallel.zero=1")  # fmt: skip
    assert planned(*keys, devices=misfit.devices).found.fitting


def test_a_shorter_context_is_offered_where_it_helps(planned):
    keys = ["model.hidden=8192", "model.heads=64", "train.micro_batch=64",
            "parallel.tensor=1", "parallel.pipeline=1",
            "parallel.zero=0"]  # fmt: skip
    long = planned(*keys, "model.context=8192", devices=1)
    assert not long.found.fitting
    context = long.misfit.context
    assert context in (512, 1024, 2048, 4096)
    assert f"model.context={context}" in nothing_fits(long)
    assert planned(*keys, f"model.context={context}", devices=1).found.fitting
    twice = planned(*keys, f"model.context={2 * context}", devices=1)
    assert not twice.found.fitting
    assert freed(long) == ["train.micro_batch=64"]
    assert "no train.micro_batch=64" in nothing_fits(long)


def test_json_has_them(too_large):
    told = json.loads(json.dumps(document(too_large), allow_nan=False))
    assert told["best"] is None
    assert told["layouts"] == []
    misfit = told["misfit"]
    assert misfit["says"] == nothing_fits(too_large)
    assert misfit["devices"] == too_large.misfit.devices
    assert misfit["device_memory_bytes"] == too_large.misfit.memory
    assert misfit["least"]["memory_bytes"] == told["least_memory_bytes"]
    kinds = misfit["least"]["memory"]
    assert sum(kinds.values()) == told["least_memory_bytes"]
