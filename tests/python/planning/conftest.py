"""Plans of a small job, made once for the same arguments."""

import pytest

from eisbach.config import load_config, resolve
from eisbach.hardware import changed, read_hardware
from eisbach.planning import CHOSEN, ExpertTerms, Terms, make_plan

SMALL = ["model.layers=4", "model.context=256", "train.global_batch=64"]


@pytest.fixture(scope="session")
def small():
    return SMALL


@pytest.fixture(scope="session")
def planned(repo):
    """Takes overrides, `devices`, `machine`, its `watts`, a `base`, `Terms`."""
    made = {}

    def planned(
        *overrides,
        devices=8,
        machine="dgx-h100",
        watts=None,
        base=None,
        **terms,
    ):
        given = (devices, machine, watts, base)
        key = (overrides, given, *sorted(terms.items()))
        if key not in made:
            config = load_config(
                base or repo / "configs" / "llama_bytes.yaml",
                [*SMALL, *overrides],
                free=tuple(CHOSEN.values()),
            )
            file = read_hardware(machine)
            if watts is not None:
                keys = ("power.idle_watts", "power.busy_watts")
                file = changed(file, dict.fromkeys(keys, watts))
            made[key] = make_plan(
                resolve(config), file, devices, terms=Terms(**terms)
            )
        return made[key]

    return planned


@pytest.fixture(scope="session")
def piped(planned):
    """One of two stages."""
    return planned(
        "parallel.pipeline=2", "parallel.tensor=2", "parallel.schedule=1f1b",
        "train.micro_batch=1",
    )  # fmt: skip


@pytest.fixture(scope="session")
def too_large(planned):
    """One of which nothing fits its two devices."""
    return planned(
        "model.layers=16", "model.hidden=12288", "model.heads=96",
        "parallel.zero=1", devices=2,
    )  # fmt: skip


@pytest.fixture(scope="session")
def of_experts(planned):
    """One whose layers have 16 experts, which 4 ranks divide."""
    return planned(
        "train.micro_batch=2", "parallel.pipeline=1",
        experts=ExpertTerms(16, 2, hidden=512, parallel=4),
    )  # fmt: skip
