"""Profiles of steps on emulated GPUs."""

import json
from collections import Counter
from itertools import pairwise

import pytest


@pytest.fixture(scope="module")
def profile(eisbach, tiny, tmp_path_factory):
    """Profiles two ranks on a device; returns the folder."""
    parent = tmp_path_factory.mktemp("profiles")

    def profile(device, *overrides):
        folder = parent / device
        done = eisbach(
            "profile", "configs/tiny.yaml", *tiny, *overrides,
            f"run.device={device}", "--output", folder, "--steps", "2",
            "--warmup", "3", ranks=2,
        )  # fmt: skip
        assert not done.returncode, done.stderr
        return folder

    return profile


def spans_of(folder, category):
    trace = json.loads((folder / "trace.json").read_text())
    return [e for e in trace["traceEvents"] if e.get("cat") == category]


def test_a_gpu_tells_when_it_did_what_the_cpu_does(profile):
    layout = "parallel={data: 1, pipeline: 2}"
    gpu, cpu = (profile(device, layout) for device in ("cuda", "cpu"))
    # A product that also gives the gradient of a bias.
    same = {"linear_gradient": "matmul"}
    for category in ("op", "collective", "action", "step"):
        counts = [
            Counter(
                (e["pid"], same.get(e["name"], e["name"]))
                for e in spans_of(folder, category)
            )
            for folder in (gpu, cpu)
        ]
        assert counts[0] == counts[1], category
        assert counts[0], category

    for rank in (0, 1):
        steps, ops, waits = (
            sorted(
                (e["ts"], e["ts"] + e["dur"])
                for e in spans_of(gpu, category)
                if e["pid"] == rank
            )
            for category in ("step", "op", "wait")
        )
        assert len(steps) == 2
        assert steps[0][1] <= steps[1][0]
        # What one stream does comes one after the other, inside the steps.
        # Times are rounded to nanoseconds.
        for (_, end), (begin, _) in pairwise(ops):
            assert end <= begin + 0.002
        for begin, end in ops:
            assert begin <= end
            assert any(s <= begin and end <= e + 0.002 for s, e in steps)
        assert waits
    facts = json.loads((gpu / "profile.json").read_text())
    assert facts["ranks"] == 2
