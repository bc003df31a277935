import json

import pytest

from eisbach.cli.plan import hours_of

SMALL = ["configs/llama_bytes.yaml", "parallel.tensor=1",
         "--hardware", "gb200-nvl72", "--gpus", "4"]  # fmt: skip


def test_a_plan_is_printed_and_written(eisbach, tmp_path):
    files = {
        option: tmp_path / name
        for option, name in (
            ("--json", "a.json"), ("--html", "a.html"),
            ("--timeline", "a.png"), ("--trace", "b.json"),
        )
    }  # fmt: skip
    named = [text for pair in files.items() for text in pair]
    done = eisbach("plan", *SMALL, "--rows", "2", *named)
    assert done.returncode == 0, done.stderr
    assert "at most 4 devices of GB200 NVL72" in done.stdout
    assert "parallel:" in done.stdout
    told = done.stdout.splitlines()[-4:]
    assert told == [f"{o.removeprefix('--')}: {p}" for o, p in files.items()]
    plan = json.loads(files["--json"].read_text())
    assert len(plan["layouts"]) == 2
    seconds = plan["layouts"][0]["step_seconds"]["value"]
    assert f"{seconds:.4g}" in done.stdout
    assert files["--html"].read_text().startswith("<!DOCTYPE html>")
    assert files["--timeline"].read_bytes().startswith(b"\x89PNG")
    assert json.loads(files["--trace"].read_text())["traceEvents"]
    assert len(list(tmp_path.iterdir())) == 4  # and nothing half done


def test_json_may_be_all_that_is_printed(eisbach):
    done = eisbach("plan", *SMALL, "--json", "-", "--by", "energy")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["terms"]["by"] == "energy"


def test_what_is_wrong_is_said(eisbach):
    done = eisbach(
        "plan", "configs/llama_bytes.yaml", "--hardware", "gb20",
        "--gpus", "4",
    )  # fmt: skip
    assert done.returncode != 0
    assert "did you mean gb200-nvl72?" in done.stderr
    done = eisbach(
        "plan", "configs/llama_bytes.yaml", "parallel.tensor=7",
        "--hardware", "dgx-h100", "--gpus", "7",
    )  # fmt: skip
    assert done.returncode != 0
    assert "tensor=7" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--deadline", "soon"], "--deadline soon: is no time; hours are"),
        (["--deadline", "0.000001h"], "nearest that works: deadline="),
        (["--power-cap", "0.0001"], "nearest that works: power_cap=0.002196"),
        (["--price", "inf"], "inf is no finite number"),
        (["--html", "a.txt"], "nearest that works: a.html"),
    ],
)
def test_wrong_options_are_refused(eisbach, options, words):
    done = eisbach("plan", *SMALL, *options)
    assert done.returncode != 0
    assert words in done.stderr


def test_experts_are_planned(eisbach):
    done = eisbach(
        "plan", *SMALL, "--json", "-", "--experts", "8",
        "--experts-per-token", "2", "--expert-hidden", "256",
        "--expert-parallel", "2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["layouts"][0]["layout"]["expert"] == 2
    (feature,) = told["not_in_runtime"]
    assert feature.startswith("8 experts of width 256")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--experts-per-token", "2"], "Missing option --experts:"),
        (["--expert-hidden", "256"], "Missing option --experts:"),
        (["--experts", "8"], "Missing option --experts-per-token:"),
        (
            ["--experts", "8", "--experts-per-token", "9"],
            "nearest that works: 8",
        ),
        (
            ["--experts", "8", "--experts-per-token", "2",
             "--expert-parallel", "3"],
            "expert_parallel=3 does not divide",
        ),
    ],
)  # fmt: skip
def test_experts_that_cannot_be_are_refused(eisbach, options, words):
    done = eisbach("plan", *SMALL, *options)
    assert done.returncode != 0
    assert words in done.stderr


def test_the_machine_and_its_size_are_asked_for(eisbach):
    done = eisbach("plan", "configs/llama_bytes.yaml")
    assert done.returncode == 2
    assert "--hardware" in done.stderr


def test_times_are_hours_or_days():
    assert hours_of("--deadline", "36h") == 36
    assert hours_of("--deadline", "1.5d") == 36
    for wrong in ("", "h", "0h", "-1d", "3w", "inf", "nanh"):
        with pytest.raises(ValueError, match="is no time"):
            hours_of("--deadline", wrong)


def test_measuring_plans_nothing(eisbach):
    done = eisbach("plan", "configs/tiny.yaml", "--calibrate")
    assert done.returncode == 2
    assert "--calibrate measures this machine" in done.stderr
    done = eisbach(
        "plan", "configs/tiny.yaml", "--hardware", "this-machine", "--gpus", "1"
    )
    assert done.returncode != 0
    assert "`eisbach plan --calibrate` does so" in done.stderr
