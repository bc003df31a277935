def test_another_tracker_is_named(eisbach, tmp_path):
    done = eisbach("follow", tmp_path, "--to", "mlfow")
    assert done.returncode == 1
    assert "nearest: mlflow" in done.stderr


def test_a_run_that_has_ended_is_told_to_its_end(eisbach, tmp_path):
    (tmp_path / "config.yaml").write_text("run: {name: a}\n...\n")
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    done = eisbach("follow", tmp_path, "--to", "prometheus", "--port", "0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("http://127.0.0.1:")
