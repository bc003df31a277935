import json
import math

from eisbach.run.metrics import (
    LineWriter,
    ValidationMetrics,
    bits_per_byte,
    to_line,
)


def steps(path):
    return [json.loads(s)["step"] for s in path.read_text().splitlines()]


def test_a_line_is_on_disk_at_once(tmp_path):
    path = tmp_path / "v.jsonl"
    writer = LineWriter(path)
    writer.write(ValidationMetrics(1, 2.0, None))
    assert json.loads(path.read_text()) == {
        "step": 1,
        "loss": 2.0,
        "bits_per_byte": None,
    }
    writer.close()


def test_resume_drops_what_came_later(tmp_path):
    path = tmp_path / "v.jsonl"
    with LineWriter(path) as writer:
        for step in (1, 2, 3, 4):
            writer.write(ValidationMetrics(step, 2.0, None))
    with path.open("a") as stream:
        stream.write('{"step": 5, "lo')
    with LineWriter(path, keep_until=2) as writer:
        writer.write(ValidationMetrics(3, 1.0, None))
    assert steps(path) == [1, 2, 3]


def test_what_json_cannot_say_is_null():
    assert to_line({"a": math.nan, "b": math.inf, "c": 1.5}) == (
        '{"a": null, "b": null, "c": 1.5}\n'
    )


def test_bits_per_byte():
    assert bits_per_byte(math.log(2) * 6, 3.0) == 2.0
    assert bits_per_byte(1.0, None) is None
