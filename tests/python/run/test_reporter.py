import dataclasses
import json
import subprocess
import sys
import threading

import pytest

from eisbach.run.folder import RunFolder, read_lines
from eisbach.run.metrics import StepMetrics, ValidationMetrics
from eisbach.run.reporter import Reporter


def metrics(step):
    loss = 5.0 / step
    return StepMetrics(
        step,
        loss,
        1.0,
        3e-4,
        1.0,
        False,
        64 * step,
        60,
        1e3,
        0.1,
        0.2,
        99,
        0.05,
        0.01,
        0.0,
        0.04,
    )


def report(folder, first, steps):
    return Reporter(folder, steps=steps, first=first, log_every=1)


def test_everything_is_left_in_the_folder(tmp_path, capsys):
    folder = RunFolder.create(tmp_path, "a")
    with report(folder, 0, 2) as reporter:
        reporter.step(metrics(1))
        late = {"rank": 1, "part": "data", "seconds": 0.25}
        straggler = {f"straggler_{name}": v for name, v in late.items()}
        reporter.step(dataclasses.replace(metrics(2), **straggler))
        reporter.validation(ValidationMetrics(2, 2.0, 2.9))
        reporter.summary({"final_loss": 2.5})
    assert [line["step"] for line in read_lines(folder.metrics)] == [1, 2]
    assert set(read_lines(folder.metrics)[0]) == {
        "step", "loss", "grad_norm", "learning_rate", "loss_scale", "skipped",
        "tokens", "counted", "tokens_per_second", "step_seconds",
        "model_tflops_per_second", "peak_memory_bytes", "matmul_seconds",
        "attention_seconds",
        "exposed_communication_seconds", "other_seconds",
        "straggler_rank", "straggler_part", "straggler_seconds",
        "slow_link", "slow_link_seconds",
        "chosen_reward", "rejected_reward", "reward_margin", "reward_accuracy",
        "z_loss", "label_smoothing_loss",
    }  # fmt: skip
    assert read_lines(folder.metrics)[1].items() >= straggler.items()
    assert read_lines(folder.validation) == [
        {"step": 2, "loss": 2.0, "bits_per_byte": 2.9}
    ]
    assert json.loads(folder.summary.read_text()) == {"final_loss": 2.5}
    assert folder.plot.read_bytes().startswith(b"\x89PNG")
    assert list(folder.events.glob("events.out.tfevents.*"))
    assert "step 2/2" in capsys.readouterr().out


def fail_after_a_step(folder):
    with report(folder, 0, 9) as reporter:
        reporter.step(metrics(1))
        raise RuntimeError("a rank is gone")


def test_an_error_keeps_what_was_measured(tmp_path):
    folder = RunFolder.create(tmp_path, "a")
    with pytest.raises(RuntimeError, match="gone"):
        fail_after_a_step(folder)
    assert len(read_lines(folder.metrics)) == 1
    assert folder.plot.exists()


def test_a_resumed_run_goes_on_in_the_same_files(tmp_path):
    folder = RunFolder.create(tmp_path, "a")
    with report(folder, 0, 9) as reporter:
        for step in (1, 2, 3):
            reporter.step(metrics(step))
    with report(folder, 2, 9) as reporter:
        reporter.step(metrics(3))
    assert [line["step"] for line in read_lines(folder.metrics)] == [1, 2, 3]
    assert len(list(folder.events.iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("reporter.EventWriter", "tensorboard/"),
        ("events.EventWriter.write", "tensorboard/"),
        ("events.EventWriter.close", "tensorboard/"),
        ("reporter.Progress", "progress"),
        ("progress.Progress.say", "progress"),
        ("progress.Progress.step", "progress"),
        ("progress.Progress.validation", "progress"),
        ("progress.Progress.close", "progress"),
        ("reporter.plot_folder", "loss.png"),
    ],
)
def test_what_is_only_shown_may_fail(tmp_path, capfd, monkeypatch, name, what):
    def fail(*_, **__):
        raise ImportError("it fails")

    monkeypatch.setattr(f"eisbach.run.{name}", fail)
    folder = RunFolder.create(tmp_path, "a")
    with report(folder, 0, 2) as reporter:
        reporter.say("hello")
        for step in (1, 2):
            reporter.step(metrics(step))
            reporter.validation(ValidationMetrics(step, 2.0, 2.9))
        reporter.sync()
    assert [line["step"] for line in read_lines(folder.metrics)] == [1, 2]
    assert [line["step"] for line in read_lines(folder.validation)] == [1, 2]
    assert capfd.readouterr().err == (
        f"eisbach: warning: {what} is left out from here on: ImportError: "
        "it fails\n"
    )


def test_steps_that_are_left_out_are_told(tmp_path, capfd):
    folder = RunFolder.create(tmp_path, "a")
    with report(folder, 0, 9) as reporter:
        for step in (1, 2, 5):
            reporter.step(metrics(step))
    report(folder, 7, 9).__exit__(None, None, None)
    assert capfd.readouterr().err == (
        f"eisbach: warning: {folder.metrics}: steps without a line: 3-4, 6-7\n"
    )


def test_metrics_that_cannot_be_synced_are_a_warning(
    tmp_path, capfd, monkeypatch
):
    def fail(_):
        raise OSError(28, "No space left on device")

    folder = RunFolder.create(tmp_path, "a")
    with report(folder, 0, 2) as reporter:
        reporter.step(metrics(1))
        monkeypatch.setattr("os.fsync", fail)
        reporter.sync()
        reporter.sync()
        monkeypatch.undo()
    assert capfd.readouterr().err == (
        "eisbach: warning: the sync of metrics failed: OSError: [Errno 28] "
        "No space left on device\n"
    )
    assert len(read_lines(folder.metrics)) == 1


def test_a_curve_keeps_nobody_who_must_hurry(tmp_path, monkeypatch):
    drawn, go_on = threading.Event(), threading.Event()

    def draw(folder):
        go_on.wait()
        drawn.set()

    monkeypatch.setattr("eisbach.run.reporter.plot_folder", draw)
    monkeypatch.setattr("eisbach.run.reporter._HURRY_SECONDS", 0.01)
    folder = RunFolder.create(tmp_path, "a")
    with report(folder, 0, 2) as reporter:
        reporter.step(metrics(1))
        reporter.hurry()
    assert not drawn.is_set()
    go_on.set()
    drawn.wait()
    drawn.clear()
    with report(folder, 1, 2) as reporter:
        reporter.step(metrics(2))
    assert drawn.is_set()


def test_a_summary_that_cannot_be_written_ends_nothing(tmp_path, capsys):
    folder = RunFolder.create(tmp_path, "a")
    folder.summary.mkdir()
    with report(folder, 0, 1) as reporter:
        reporter.step(metrics(1))
        reporter.summary({"final_loss": 2.5})
    assert capsys.readouterr().err.count("summary.json is left out") == 1


def test_a_curve_that_takes_long_is_not_cut_down_at_the_end(tmp_path):
    """An interpreter that ends under it would abort in matplotlib's C++."""
    code = f"""
import pathlib, time
from eisbach.run import reporter
from eisbach.run.folder import RunFolder

def slow(folder):
    time.sleep(1.0)
    (folder.path / "drawn").touch()

reporter.plot_folder, reporter._HURRY_SECONDS = slow, 0.01
folder = RunFolder.create(pathlib.Path({str(tmp_path)!r}), "a")
with reporter.Reporter(folder, steps=1, first=0, log_every=1) as report:
    report.hurry()
assert not (folder.path / "drawn").exists()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "a" / "drawn").exists()
