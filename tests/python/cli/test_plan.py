import json
import re

import pytest

from eisbach.cli.app import app
from eisbach.cli.failure import tell

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
    assert "parallel.tensor=1 " in done.stdout
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
        (["--deadline", ""], "--deadline : is no time; hours are"),
        (["--deadline", "5"], "nearest that works: 5h"),
        (["--deadline", "0.000001h"], "nearest that works: --deadline "),
        (["--deadline", "1h", "--mtbf", "1e-300"], "works: no deadline"),
        (["--by", "cost", "--mtbf", "1e-300"], "nearest that works: --by time"),
        (["--power-cap", "0.0001"], "nearest that works: --power-cap 0.002196"),
        (["--power-cap", "0"], "nearest that works: --power-cap 0.002196"),
        (["--html", "a.txt"], "nearest that works: a.html"),
        (["--trace", "/proc/a.json"], "--trace /proc/a.json: cannot be writt"),
        (["--json", ""], "--json .: is a folder; what is written is a .json"),
        (["--threads", "2"], "--threads: only with --calibrate"),
        (["--threads", "1", "--output", "a.yaml"], "--output and --threads: "),
        (["--mtbf", "0", "--restart", "9"], "--restart: has a meaning where"),
        (["--gpus", "1e20"], "'--gpus': 1e20: must be an integer"),
        (["--gpus", "1" + "0" * 20], "must be <= 2147483647; nearest that wo"),
    ],
)
def test_wrong_options_are_refused(eisbach, options, words):
    done = eisbach("plan", *SMALL, *options)
    assert done.returncode != 0
    assert words in done.stderr


def test_what_fits_no_device_is_told_and_written(eisbach, tmp_path):
    large = ["model.layers=64", "model.hidden=16384", "model.heads=128"]
    plan, page = tmp_path / "a.json", tmp_path / "a.html"
    done = eisbach(
        "plan", *SMALL, *large, "--json", str(plan), "--html", str(page)
    )
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == f"json: {plan}"
    assert "error: nothing fits: of the " in done.stderr
    assert f"; not written: --html {page}" in done.stderr
    assert json.loads(plan.read_text())["best"] is None
    assert not page.exists()
    done = eisbach("plan", *SMALL, *large, "--json", "-")
    assert done.returncode == 1
    misfit = json.loads(done.stdout)["misfit"]
    assert misfit["says"] in done.stderr


def test_a_number_of_blocks_may_be_given_alone(eisbach):
    done = eisbach("plan", *SMALL, "train.recompute_layers=2", "--json", "-")
    assert done.returncode == 0, done.stderr
    layout = json.loads(done.stdout)["layouts"][0]["layout"]
    assert layout["recompute_layers"] == 2
    assert layout["recompute"] != "none"


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
            "--experts-per-token 9 is not between 1 and --experts 8; nearest "
            "that works: --experts-per-token 8",
        ),
        (
            ["--experts", "8", "--experts-per-token", "2",
             "--expert-parallel", "3"],
            "--expert-parallel 3: does not divide both --experts 8 and",
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


NUMBERS = {
    "--mtbf": 1e9, "--restart": 1e9, "--save-stall": 1e9, "--price": 1e6,
    "--grid": 1e6, "--power-cap": 1e6, "--gpus": 2**31 - 1,
}  # fmt: skip


@pytest.mark.parametrize("option", NUMBERS)
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e300", "1h", ""])
def test_a_number_that_cannot_be_is_refused(option, value, capsys):
    with pytest.raises(Exception, match=r"^") as caught:
        app(["plan", *SMALL, option, value], standalone_mode=False)
    tell(caught.value)
    said = capsys.readouterr().err
    assert said.startswith(
        f"eisbach: error: Invalid value for '{option}': {value}: "
    )
    assert len(said) < 200
    if value in ("-1", "1e300") and option != "--gpus":
        nearest = float(said.rpartition("works: ")[2])
        assert nearest == (0 if value == "-1" else NUMBERS[option])


@pytest.mark.parametrize(
    "options",
    [
        ["--mtbf", "1e-300"], ["--mtbf", "1e9"], ["--mtbf", "0"],
        ["--restart", "1e9"], ["--save-stall", "1e9", "--mtbf", "100"],
        ["--price", "1e-300"], ["--price", "1e6"], ["--price", "0"],
        ["--grid", "1e-300"], ["--grid", "1e6"], ["--grid", "0"],
        ["--power-cap", "1e6"], ["--deadline", "1e9h"],
    ],
)  # fmt: skip
def test_an_odd_number_ends_in_no_endless_one(eisbach, tmp_path, options):
    files = ["--json", tmp_path / "a.json", "--html", tmp_path / "a.html"]
    done = eisbach("plan", *SMALL, "--rows", "2", *options, *files)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert not re.search(r"\d{20}|\d(,\d{3}){6}|\b(inf|nan)\b", done.stdout)
    never = "never over: a failure every" in done.stdout
    told = json.loads((tmp_path / "a.json").read_text())
    assert (told["best"]["run"]["hours"] is None) == never
    assert bool(told["layouts"][0]["never_ends"]) == never
    assert ("never over" in (tmp_path / "a.html").read_text()) == never


def test_measuring_plans_nothing(eisbach):
    for others in (
        ["configs/tiny.yaml"],
        ["--rows", "3"],
        ["--json", "a.json"],
    ):
        done = eisbach("plan", *others, "--calibrate")
        assert done.returncode == 2
        assert "--calibrate measures this machine" in done.stderr
    done = eisbach(
        "plan", "configs/tiny.yaml", "--hardware", "this-machine", "--gpus", "1"
    )
    assert done.returncode != 0
    assert "`eisbach plan --calibrate` does so" in done.stderr
