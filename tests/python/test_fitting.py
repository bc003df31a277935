import re
from types import SimpleNamespace

import pytest

from eisbach import fitting
from eisbach.config import load_config, resolve
from eisbach.core_config import engine_config
from eisbach.estimating import estimate
from eisbach.fitting import Fit, fit, on_ranks

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
        (
            2,
            [
                "parallel.pipeline=2",
                "parallel.schedule=zero_bubble",
                "parallel.chunks=5",
                "model.layers=8",
            ],
            "chunks=5 x parallel.pipeline=2 needs a layer for each chunk",
            ["parallel.chunks=4", "parallel.pipeline=1", "model.layers=10"],
        ),
        (
            2,
            ["parallel.pipeline=2", "parallel.chunks=2"],
            "runs 1 model chunk a stage, not 2",
            ["parallel.chunks=1"],
        ),
        # Far above what there can be.
        (
            4,
            ["parallel.zero=1", "parallel.zero_group=1048576"],
            "zero_group=1048576",
            ["parallel.zero_group=4"],
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


DEEP = [
    "run.device=cpu",
    "model.layers=8",
    "model.vocab=256",
    "precision.compute=f32",
    "train.recompute=block",
    "train.recompute_layers=auto",
    "checkpoint.asynchronous=false",
]


def peak(layers):
    found = fit(config_of([*DEEP, f"train.recompute_layers={layers}"]), 1)
    return estimate(found)[0].memory.peak


def test_as_few_blocks_are_recomputed_as_fit():
    for layers in (0, 3):
        gib = f"train.recompute_gib={peak(layers) / 2**30!r}"
        found = fit(config_of([*DEEP, gib]), 1)
        assert found.config.train.recompute_layers == layers
        assert found.engine.recompute_layers == layers
        origin = found.config.origin("train.recompute_layers")
        assert origin.startswith("derived: fewest that fit in 0.0")


def test_what_checkpoints_are_written_from_lies_in_the_host_s_memory():
    gib = f"train.recompute_gib={peak(3) / 2**30!r}"
    copies = [*DEEP, gib, "checkpoint.asynchronous=true"]
    with pytest.raises(ValueError, match=r"a rank has 0\.0"):
        fit(config_of(copies), 1)
    found = fit(config_of([*copies, "run.device=cuda"]), 1)
    assert found.config.train.recompute_layers == 3


def test_the_least_memory_of_a_rank_counts(monkeypatch):
    placed = fitting._fit  # but for where ranks are, which these do not tell
    monkeypatch.setattr(fitting, "_fit", lambda c, ranks, _: placed(c, ranks))
    config = config_of(DEEP)
    ranks = [SimpleNamespace(memory=peak(0)), SimpleNamespace(memory=peak(2))]
    found = fit(config, 1, locations=ranks)
    assert found.config.train.recompute_layers == 2
    unknown = [SimpleNamespace(memory=0)]
    with pytest.raises(ValueError, match=r"say so in train\.recompute_gib"):
        fit(config, 1, locations=unknown)
    # Nobody tells, as in `eisbach estimate`.
    assert fit(config, 1).config.train.recompute_layers == "auto"


def test_where_ranks_are_is_known_beside_what_is_recomputed(monkeypatch):
    placed = fitting._fit

    def near(config, ranks, _):
        found = placed(config, ranks)
        engine = engine_config(found.config, context_neighbours=4)
        return Fit(found.config, found.mesh, engine)

    monkeypatch.setattr(fitting, "_fit", near)
    gib = f"train.recompute_gib={peak(3) / 2**30!r}"
    found = fit(config_of([*DEEP, gib]), 1)
    assert found.engine.recompute_layers == 3
    assert found.engine.context_neighbours == 4


def test_where_nothing_fits_the_message_offers_what_does():
    gib = f"train.recompute_gib={(peak(7) - 1) / 2**30!r}"
    with pytest.raises(ValueError, match="recompute_layers=auto") as caught:
        fit(config_of([*DEEP, gib]), 1)
    told = str(caught.value).partition("; nearest that works: ")[2]
    offers = told.split(", or ")
    assert len(offers) == 2
    for offer in offers:
        fit(config_of([*DEEP, gib, offer]), 1)


def test_how_many_blocks_are_recomputed_is_found_once(trainer, eisbach):
    done, folder = trainer()(
        "fewest",
        "train.steps=2",
        "train.validate_every=0",
        "train.recompute=block",
        "train.recompute_layers=auto",
        ranks=2,
    )
    assert not done.returncode, done.stderr
    assert "recompute_layers: 0 (fewest that fit in " in done.stdout
    done = eisbach("train", "--resume", folder, "train.steps=3", ranks=2)
    assert not done.returncode, done.stderr
    assert "fewest that fit" not in done.stdout
    text = (folder / "config.yaml").read_text()
    assert re.search(r"^  recompute_layers: 0\b", text, re.MULTILINE)
