import json
from collections import Counter

import pytest

MICRO_BATCHES = 4  # of configs/tiny.yaml: global_batch 8, micro_batch 2
PARTS = {"matmul", "attention", "other", "exposed_communication"}


@pytest.fixture(scope="session")
def profile(eisbach, tmp_path_factory):
    """Profiles configs/tiny.yaml; returns the process and the folder."""
    parent = tmp_path_factory.mktemp("profiles")

    def profile(name, *arguments, **options):
        done = eisbach(
            "profile",
            "configs/tiny.yaml",
            "--output",
            parent / name,
            *arguments,
            **options,
        )
        return done, parent / name

    return profile


@pytest.fixture(scope="session")
def alone(profile):
    done, folder = profile("alone", "--steps", "2", "--warmup", "1")
    assert not done.returncode, done.stderr
    return done, folder


@pytest.fixture(scope="session", params=["pipeline", "data"])
def together(profile, request):
    axis = request.param
    done, folder = profile(
        axis, f"parallel.{axis}=2", "--steps", "2", "--warmup", "1", ranks=2
    )
    assert not done.returncode, done.stderr
    return done, folder, axis


def events(folder):
    """The spans of a trace, whose every event has what a viewer needs."""
    trace = json.loads((folder / "trace.json").read_text())
    names = {"process_name", "process_sort_index", "thread_name",
             "thread_sort_index"}  # fmt: skip
    spans = []
    for event in trace["traceEvents"]:
        assert {"ph", "pid", "tid", "name", "args"} <= event.keys()
        if event["ph"] == "M":
            assert event["name"] in names
            continue
        assert event["ph"] == "X"
        assert event["cat"] in {"op", "collective", "wait", "action", "step"}
        assert event["name"]
        assert event["ts"] >= 0
        assert event["dur"] >= 0
        spans.append(event)
    return spans


def check_rows(spans):
    """Spans of one row lie apart or one within the other."""
    rows = {}
    for event in spans:
        rows.setdefault((event["pid"], event["tid"]), []).append(event)
    nanosecond = 1.001e-3
    for row in rows.values():
        open_ends = []
        for event in sorted(row, key=lambda e: (e["ts"], -e["dur"])):
            end = event["ts"] + event["dur"]
            while open_ends and open_ends[-1] <= event["ts"] + nanosecond:
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1] + nanosecond, event
            open_ends.append(end)


def slots(spans, rank):
    return Counter(
        event["args"]["does"]
        for event in spans
        if event["cat"] == "action" and event["pid"] == rank
    )


def test_a_rank_alone_leaves_a_trace(alone):
    _, folder = alone
    spans = events(folder)
    check_rows(spans)
    assert {event["pid"] for event in spans} == {0}
    steps = [e["args"]["step"] for e in spans if e["cat"] == "step"]
    assert steps == [2, 3]
    assert slots(spans, 0) == {
        "forward": 2 * MICRO_BATCHES,
        "backward": 2 * MICRO_BATCHES,
        "reduce": 2,
    }
    matmuls = [e for e in spans if e["name"] == "matmul"]
    assert all(e["args"]["flops"] > 0 for e in matmuls)
    assert not [e for e in spans if e["cat"] in ("collective", "wait")]


def test_it_tells_where_the_time_goes(alone):
    done, folder = alone
    told = done.stdout
    assert "machine, a rank: matmul " in told
    assert "2 steps of " in told
    assert " tokens/s" in told
    assert "time in steps: matmul " in told
    assert "of peak" in told
    assert told.splitlines()[-1] == f"profile folder: {folder}"
    assert (folder / "profile.txt").read_text() in told
    assert "\x1b" not in told


def test_the_figures_hold_together(alone):
    _, folder = alone
    facts = json.loads((folder / "profile.json").read_text())
    assert facts["steps"] == 2
    assert facts["time_shares"].keys() == PARTS
    assert sum(facts["time_shares"].values()) == pytest.approx(1)
    assert facts["tokens_per_second"] == pytest.approx(
        8 * 32 / facts["step_seconds"]
    )
    peak = facts["peak_per_second"]
    assert all(value > 0 for value in peak.values())
    rates = peak[f"{facts['compute']}_flops"], peak["bytes"]
    spans = events(folder)
    for row in facts["ops"]:
        mine = [e for e in spans if e["name"] == row["name"]]
        assert row["calls"] == len(mine)
        assert row["seconds"] == pytest.approx(
            sum(e["dur"] for e in mine) / 1e6
        )
        flops = sum(e["args"]["flops"] for e in mine)
        assert row["flops_per_second"] * row["seconds"] == pytest.approx(flops)
        parts = (
            row["flops_per_second"] / rates[0],
            row["bytes_per_second"] / rates[1],
        )
        assert row["of_peak"] == pytest.approx(max(parts))
        assert row["bound"] == ("compute", "memory")[parts[1] > parts[0]]
    seconds = [row["seconds"] for row in facts["ops"]]
    assert seconds == sorted(seconds, reverse=True)


def test_it_trains_and_saves_nothing(alone):
    _, folder = alone
    assert {path.name for path in folder.iterdir()} == {
        "config.yaml",
        "lock",
        "profile.json",
        "profile.txt",
        "tokenizer",
        "trace.json",
    }


def test_no_folder_is_overwritten(alone, profile):
    _, folder = alone
    before = (folder / "trace.json").read_bytes()
    done, _ = profile("alone", "--steps", "1", "--warmup", "0")
    assert not done.returncode, done.stderr
    assert (folder / "trace.json").read_bytes() == before
    assert (folder.with_name("alone-2") / "trace.json").exists()


def test_the_folder_is_named_after_the_run(eisbach, tmp_path):
    done = eisbach(
        "profile",
        "configs/tiny.yaml",
        f"run.dir={tmp_path}",
        "--steps=1",
        "--warmup=0",
    )
    assert not done.returncode, done.stderr
    assert (tmp_path / "tiny-profile" / "trace.json").exists()


@pytest.mark.mpi
def test_all_ranks_are_on_one_time_line(together):
    _, folder, axis = together
    spans = events(folder)
    check_rows(spans)
    assert {event["pid"] for event in spans} == {0, 1}
    steps = {
        (e["pid"], e["args"]["step"]): e for e in spans if e["cat"] == "step"
    }
    assert steps.keys() == {(r, s) for r in (0, 1) for s in (2, 3)}
    # A step ends in a sum over all ranks: none ends before all have begun.
    for step in (2, 3):
        both = [steps[rank, step] for rank in (0, 1)]
        latest = max(event["ts"] for event in both)
        assert all(event["ts"] + event["dur"] > latest for event in both)
    micro_batches = MICRO_BATCHES // (2 if axis == "data" else 1)
    for rank in (0, 1):
        counts = slots(spans, rank)
        assert counts["forward"] == counts["backward"] == 2 * micro_batches


@pytest.mark.mpi
def test_collectives_and_what_is_exposed_are_told(together):
    done, folder, axis = together
    spans = events(folder)
    groups = {
        (e["pid"], e["args"]["group"])
        for e in spans
        if e["cat"] == "collective"
    }
    assert {(rank, g) for rank in (0, 1) for g in (axis, "world")} <= groups
    facts = json.loads((folder / "profile.json").read_text())
    assert facts["time_shares"]["exposed_communication"] > 0
    assert sum(facts["time_shares"].values()) == pytest.approx(1)
    rows = {(r["name"], r["group"]): r for r in facts["collectives"]}
    assert rows["all_reduce", "world"]["calls"] == 2 * 2
    assert any(group == axis for _, group in rows)
    assert all(row["seconds"] > 0 for row in rows.values() if row["calls"])
    assert done.stdout.count("profile folder: ") == 1
    assert "exposed ms" in done.stdout
    assert [c["offset_ns"] for c in facts["clocks"]] == [0, 0]


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--steps=0"], "--steps=0 is below 1; nearest that works: 1"),
        (["--warmup=-3"], "--warmup=-3 is below 0; nearest that works: 0"),
        (["train.micro_batch=3"], "train.global_batch"),
        (["model.layer=3"], "closest: model.layers"),
    ],
)
def test_what_does_not_fit_is_told_once(profile, arguments, reason, ranks):
    done, folder = profile("misfit", *arguments, ranks=ranks)
    assert done.returncode != 0
    assert done.stderr.count("eisbach: error: ") == 1, done.stderr
    assert reason in done.stderr
    assert not folder.exists()


def test_an_output_that_is_no_folder_is_an_error(eisbach, tmp_path):
    (tmp_path / "file").touch()
    output = tmp_path / "file" / "inside"
    done = eisbach("profile", "configs/tiny.yaml", "--output", output)
    assert done.returncode == 1
    assert "--output" in done.stderr
    assert str(tmp_path / "file") in done.stderr
