import re

import pytest

from eisbach.config import load_config, resolve
from eisbach.fitting import fit, on_ranks

OFFER = re.compile(r"([a-z_.]+=\S+?)(?=,|$)|(\d+) ranks")


def config_of(overrides):
    return resolve(load_config("configs/tiny.yaml", overrides))


@pytest.fixture(autouse=True)
def _in_the_tree(repo, monkeypatch):
    monkeypatch.chdir(repo)


@pytest.mark.parametrize(
    ("ranks", "overrides", "cause", "offers"),
    [
        (1, ["model.heads=5"], "heads=5 does not", ["model.heads=4"]),
        (2, ["parallel.tensor=3"], "does not divide 2", ["parallel.tensor=2"]),
        (2, ["parallel.data=4"], "4 ranks, but 2", ["parallel.data=2", "4"]),
        (
            2,
            ["parallel.tensor=2", "parallel.pipeline=2"],
            "= 4 does not divide 2 ranks",
            ["parallel.tensor=1", "parallel.pipeline=1", "4"],
        ),
        (
            1,
            ["train.micro_batch=3"],
            "global_batch=8",
            ["train.global_batch=9"],
        ),
        (
            8,
            ["parallel.pipeline=8"],
            "needs a layer",
            ["parallel.pipeline=2", "model.layers=8"],
        ),
        # The core knows one rule at a time and would offer 8, which three
        # ranks cannot share: no number of heads fits both.
        (3, ["model.heads=7", "parallel.tensor=3"], "heads=7", []),
        # Here it would offer 102, farther than 99.
        (
            3,
            [
                "model.heads=3",
                "model.hidden=48",
                "parallel.tensor=3",
                "model.ffn_hidden=100",
            ],
            "ffn_hidden=100",
            ["model.ffn_hidden=99"],
        ),
        (
            1,
            ["model.family=llama", "model.hidden=60"],
            "is odd",
            ["model.head_dim=14", "model.heads=3"],
        ),
    ],
)
def test_what_is_said_to_work_does(ranks, overrides, cause, offers):
    with pytest.raises(ValueError, match=re.escape(cause)) as caught:
        fit(config_of(overrides), ranks)
    _, _, told = str(caught.value).partition("; nearest that works: ")
    found = [key or count for key, count in OFFER.findall(told)]
    assert found == offers
    for offer in found:
        if offer.isdigit():
            fit(config_of(overrides), int(offer))
        else:
            fit(config_of([*overrides, offer]), ranks)


def test_a_fit_names_its_layout():
    found = fit(config_of(["parallel.tensor=2"]), 4)
    assert found.config.parallel.data == 2
    assert found.config.origin("parallel.data") == "derived: ranks: 4"
    assert found.mesh.size("tensor") == 2
    assert found.engine.global_batch == 8


def test_a_resumed_run_takes_the_ranks_that_there_are():
    saved = config_of(["parallel.data=2", "parallel.pipeline=2"])
    assert on_ranks(saved, 4) is saved
    saved = saved.with_origins({"parallel.data": "run/config.yaml:1"})
    found = fit(on_ranks(saved, 8), 8)
    assert found.mesh.size("data") == 4
    assert found.config.origin("parallel.data") == "derived: ranks: 8"
    given = config_of(["parallel.data=2"])
    with pytest.raises(ValueError, match="= 2 ranks, but 3 were started"):
        fit(on_ranks(given, 3), 3)


def test_a_name_that_leads_out_of_the_folder_is_refused():
    with pytest.raises(ValueError, match=r"works: x \(run\.name\)"):
        fit(config_of(["run.name=../x"]), 1)
