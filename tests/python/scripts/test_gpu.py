"""What run_on_gpu.sh of a bundle does, as far as no GPU goes."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
from gpu import __main__ as program
from gpu import parts, process
from gpu.bundle import Bundle
from gpu.machine import Gpu
from gpu.manifest import gpu_tests, newest
from gpu.record import CUT_OFF, FAILED, NOT_RUN, PASSED, Record, Row

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
NO_GPU = "echo 'NOT RUN: device cuda: no driver'; exit 77"
GPU = Gpu("NVIDIA H100 80GB HBM3", "580.1", "81559 MiB", 1)


@pytest.fixture
def bundle(tmp_path):
    """A bundle whose programs are scripts that find no GPU."""
    root = tmp_path / "bundle"
    (root / "lib").mkdir(parents=True)
    (root / "bin").mkdir()
    (root / "peers").mkdir()
    shutil.copytree(SCRIPTS / "gpu", root / "gpu")
    shutil.copy(SCRIPTS / "gpu" / "run_on_gpu.sh", root)
    (root / "peers" / "torch_gpt.py").write_text("raise SystemExit(77)\n")
    tests = [
        {
            "name": f"{name}_gpu", "program": name,
            "arguments": ["--gtest_filter=-*Errors*"],
            "environment": {"EISBACH_TEST_DEVICE": "cuda"},
        }
        for name in ("ops_norm_test", "ops_copy_test", parts.ONE_DEVICE)
    ]  # fmt: skip
    facts = {"commit": "abc", "glibc": "2.17", "tests": tests}
    (root / "bundle.json").write_text(json.dumps(facts))
    for name in [*(test["program"] for test in tests), "train_gpu", "mpirun"]:
        write(root, name, NO_GPU)
    return root


def write(root, name, script):
    path = root / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def start(bundle, *arguments):
    """Runs it where no tool of NVIDIA's is."""
    environment = {
        **os.environ,
        "PYTHON": sys.executable,
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        [bundle / "run_on_gpu.sh", *arguments], env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = (bundle / "results" / "results.jsonl").read_text().splitlines()
    return done, [json.loads(line) for line in lines]


def test_where_no_gpu_is_every_part_says_so(bundle):
    done, rows = start(bundle)
    assert done.returncode == 77, done.stderr
    assert {row["state"] for row in rows} == {NOT_RUN}
    planned = parts.parts(Bundle.load(bundle), None)
    assert {row["part"] for row in rows} == {part.name for part in planned}
    assert all(row["text"].startswith("no GPU here") for row in rows)
    assert "no GPU here (device cuda: no driver)" in done.stdout
    whole = json.loads((bundle / "results" / "results.json").read_text())
    assert whole["rows"] == rows
    assert whole["machine"]["GPU"] == "none"


def test_what_fails_is_named_and_ends_with_one(bundle):
    failing = "echo '[  FAILED  ] Norm.Rows'; echo ' 1 FAILED TEST'; exit 1"
    write(bundle, "ops_norm_test", failing)
    write(bundle, "ops_copy_test", "echo '[  PASSED  ] 3 tests.'")
    done, rows = start(bundle, "--only", "tests")
    assert done.returncode == 1
    assert sorted((row["name"], row["state"], row["text"]) for row in rows) == [
        ("ops_copy_test_gpu", PASSED, "3 tests"),
        ("ops_norm_test_gpu", FAILED, "exit code 1: [  FAILED  ] Norm.Rows"),
    ]
    table = (bundle / "results" / "results.md").read_text().splitlines()
    assert table[4].startswith("| tests | ops_norm_test_gpu | failed |")


def test_a_program_that_runs_no_test_has_not_passed(bundle):
    write(bundle, parts.ONE_DEVICE, "echo '[  PASSED  ] 0 tests.'")
    done, rows = start(bundle, "--only", "captured")
    assert done.returncode == 1
    assert [row["state"] for row in rows] == [FAILED]
    assert "no test ran" in rows[0]["text"]


def test_speeds_are_counted_alike_and_a_profile_is_told(bundle):
    ours = {
        "tokens": 100, "step_seconds": 0.5, "flops_per_token": 2e6,
        "bf16_matmul_flops_per_second": 1e9, "peak_memory_bytes": 2**30,
        "profile": {
            "step_seconds": 0.6, "matmul": 0.5, "attention": 0.3, "other": 0.2,
            "ops": [
                {
                    "name": "matmul", "share": 0.5, "of_peak": 0.7,
                    "bound": "compute",
                }
            ],
        },
    }  # fmt: skip
    write(bundle, "train_gpu", f"echo '{json.dumps(ours)}'")
    line = json.dumps({"tokens": 100, "step_seconds": 1.0, "loss": 1.0})
    (bundle / "peers" / "torch_gpt.py").write_text(f"print({line!r})\n")
    done, rows = start(bundle, "--only", "speed", "profile")
    assert done.returncode == 0, done.stdout
    told = {row["name"]: row["text"] for row in rows}
    speed = "200 tokens/s, 40.0% of its matmuls (0.0 TFLOP/s), 1.0 GiB"
    assert told == {
        "124 M eisbach": speed,
        "1.3 B eisbach": speed,
        "124 M PyTorch compiled": "100 tokens/s",
        "1.3 B PyTorch compiled": "100 tokens/s",
        "124 M": "600.0 ms a step: matmul 50%, attention 30%, other 20%; "
        "matmul 50.0% (70% of compute)",
    }


def test_a_part_that_is_unknown_is_told_with_those_there_are(bundle):
    done = subprocess.run(
        [sys.executable, "-m", "gpu", "--only", "tets"], cwd=bundle,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--only tets: there are tests, curves, captured" in done.stderr


def test_an_older_c_library_is_told_before_anything_runs(bundle):
    facts = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**facts, "glibc": "99.1"}))
    with pytest.raises(SystemExit, match=r"the programs need 99\.1 or newer"):
        Bundle.load(bundle)


def test_packed_libraries_are_unpacked_once(bundle):
    library = bundle / "lib" / "libx.so.1"
    library.write_bytes(b"code" * 1000)
    subprocess.run(["gzip", str(library)], check=True)
    for _ in range(2):
        Bundle.load(bundle)
        assert library.read_bytes() == b"code" * 1000
    assert [p.name for p in (bundle / "lib").glob("*.part")] == []


def test_all_parts_together_stay_below_nine_minutes(bundle):
    planned = parts.parts(Bundle.load(bundle), GPU)
    assert sum(part.seconds for part in planned) <= program.SECONDS < 540


def judged(code, output="", *, gpu=None, timed_out=False, read=None):
    job = parts.Job("x", ["x"], **({"read": read} if read else {}))
    ended = process.Ended(code, output, 1.0, timed_out)
    row = program.judge("tests", job, ended, gpu)
    return row.state, row.text


def test_a_gpu_that_is_there_and_not_found_is_a_failure():
    told = "NOT RUN: libcudart.so.13: cannot open shared object file"
    state, text = judged(77, told, gpu=GPU)
    assert state == FAILED
    assert text.startswith("there is NVIDIA H100 80GB HBM3, but: libcudart")
    assert judged(77, told)[0] == NOT_RUN


def test_how_a_program_ends_decides():
    assert judged(0) == (PASSED, "")
    assert judged(-9, timed_out=True)[0] == CUT_OFF
    assert judged(-11) == (FAILED, "exit code -11: it printed nothing")
    assert judged(0, "no line", read=lambda out: ("", parts.last_json(out)))[
        0
    ] == (FAILED)


def wait_for_end(pid):
    """Until the process whose number is in the file `pid` has ended."""
    status = Path("/proc", pid.read_text().strip(), "stat")
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while status.read_text().split()[2] != "Z":
            time.sleep(0.01)


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    alive = tmp_path / "child"
    script = f"sleep 1000 & echo $! >{alive}; echo started; wait"
    ended = process.run(
        ["/bin/sh", "-c", script], environment={}, seconds=1.0,
        log=tmp_path / "log",
    )  # fmt: skip
    assert ended.timed_out
    assert ended.output == "started\n"
    wait_for_end(alive)


@pytest.mark.parametrize(("all_needed", "state"), [(1, CUT_OFF), (0, NOT_RUN)])
def test_what_a_part_has_no_time_for_is_told(tmp_path, all_needed, state):
    kept = Record(tmp_path, {})
    hangs = [parts.Job(name, ["sleep", "1000"]) for name in ("1.3 a", "1.3 b")]
    part = parts.Part("x", 0.3, hangs, all_needed=bool(all_needed))
    program.run_part(part, kept, None, end=float("inf"), logs=tmp_path)
    assert [(row.name, row.state) for row in kept.rows] == [
        ("1.3 a", state),
        ("1.3 b", state),
    ]
    assert kept.rows[1].text == "no time was left"
    assert (tmp_path / "x-1.3-a.log").exists()


def test_who_is_ended_ends_its_programs_and_keeps_its_lines(bundle):
    write(bundle, "ops_norm_test", "echo '[  PASSED  ] 1 test.'")
    write(bundle, parts.ONE_DEVICE, "echo $$ >part; mv part alive; sleep 1000")
    runner = subprocess.Popen(
        [sys.executable, "-m", "gpu", "--only", "tests", "captured"],
        cwd=bundle, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    alive = bundle / "alive"
    while not alive.exists():
        assert runner.poll() is None
        time.sleep(0.01)
    runner.terminate()
    assert runner.wait() == 128 + 15
    wait_for_end(alive)
    lines = (bundle / "results" / "results.jsonl").read_text().splitlines()
    assert len(lines) == 2


def test_results_are_on_disk_after_each_row(tmp_path):
    rows = [
        Row("tests", "a", PASSED, 1.25, "3 tests"),
        Row("speed", "b", NOT_RUN, 0.0, "no PyTorch | here"),
    ]
    kept = Record(tmp_path, {"GPU": "none", "commit": "abc"})
    assert kept.exit_code() == 77
    for count, row in enumerate(rows, 1):
        kept.add(row)
        lines = (tmp_path / "results.jsonl").read_text().splitlines()
        whole = json.loads((tmp_path / "results.json").read_text())
        assert len(lines) == len(whole["rows"]) == count
    assert (tmp_path / "results.md").read_text() == (
        "GPU none, commit abc\n\n"
        "| part | ran | state | seconds | |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| speed | b | not run | 0.0 | no PyTorch \\| here |\n"
        "| tests | a | passed | 1.2 | 3 tests |\n"
    )
    assert kept.exit_code() == 0
    kept.add(Row("tests", "c", CUT_OFF, 9.0))
    assert kept.exit_code() == 1


def test_rates_are_held_against_the_data_sheet_and_the_matmuls():
    figures = {
        "tokens": 1000, "step_seconds": 0.5, "peak_memory_bytes": 2**31,
        "bf16_matmul_flops_per_second": 4e12,
    }  # fmt: skip
    text, done = parts.rate(figures, 1e9, GPU.peak)
    assert done["tokens_per_second"] == 2000
    assert done["mfu"] == pytest.approx(2e12 / 989e12)
    assert text == (
        "2,000 tokens/s, MFU 0.2% of 989 TFLOP/s, 50.0% of its matmuls "
        "(4.0 TFLOP/s), 2.0 GiB"
    )
    unknown = Gpu("NVIDIA X", "1", "1", 1)
    assert unknown.peak is None
    assert "mfu" not in parts.rate(figures, 1e9, unknown.peak)[1]


@pytest.mark.parametrize(
    ("name", "tflops"),
    [
        ("NVIDIA A100-SXM4-80GB", 312), ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989), ("NVIDIA GB200", 2500), ("NVIDIA B200", 2250),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 504),
    ],
)  # fmt: skip
def test_peaks_are_those_of_dense_bf16(name, tflops):
    assert Gpu(name, "1", "1", 1).peak == tflops * 1e12


def test_the_manifest_takes_tests_as_ctest_lists_them():
    test = {
        "name": "ops_norm_test_gpu",
        "command": ["/b/tests/cpp/ops_norm_test", "--gtest_filter=-*E*"],
        "properties": [
            {
                "name": "ENVIRONMENT",
                "value": [
                    "EISBACH_TEST_DEVICE=cuda",
                    "EISBACH_CUDA_LIBRARY=/b/x",
                ],
            }
        ],
    }
    assert gpu_tests({"tests": [test]}) == [
        {
            "name": "ops_norm_test_gpu",
            "program": "ops_norm_test",
            "arguments": ["--gtest_filter=-*E*"],
            "environment": {"EISBACH_TEST_DEVICE": "cuda"},
        }
    ]
    with pytest.raises(ValueError, match="ops_x_test_gpu is not built"):
        gpu_tests({"tests": [{"name": "ops_x_test_gpu", "properties": []}]})


def test_the_newest_version_is_by_numbers():
    text = (
        "Name: GLIBC_2.4 GLIBC_2.34 GLIBC_PRIVATE GLIBCXX_3.4.30 GLIBCXX_3.4.9"
    )
    assert newest(text, "GLIBC") == "2.34"
    assert newest(text, "GLIBCXX") == "3.4.30"
