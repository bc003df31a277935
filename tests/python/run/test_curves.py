import json

from eisbach.run.comparison import read_run
from eisbach.run.curves import plot_runs


def test_runs_are_drawn_over_one_another(tmp_path):
    for name, steps in (("a", 50), ("b", 30), ("empty", 0)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.yaml").write_text(f"model: {{layers: {steps}}}")
        text = "".join(
            json.dumps({"step": i, "loss": 3 / i}) + "\n"
            for i in range(1, steps + 1)
        )
        (folder / "metrics.jsonl").write_text(text)
    path = tmp_path / "runs.png"
    plot_runs(path, [read_run(tmp_path / n) for n in ("a", "b", "empty")])
    both = path.read_bytes()
    assert both.startswith(b"\x89PNG")
    plot_runs(path, [read_run(tmp_path / "a")])
    assert path.read_bytes() != both
