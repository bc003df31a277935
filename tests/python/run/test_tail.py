import json

from eisbach.run.tail import Tail, last_lines


def line(step):
    return json.dumps({"step": step, "loss": 1.0}) + "\n"


def steps(lines):
    return [line["step"] for line in lines]


def test_new_lines_come_once_and_whole(tmp_path):
    path = tmp_path / "metrics.jsonl"
    tail = Tail(path)
    assert tail.read() == []
    path.write_text(line(1) + line(2)[:10])
    assert steps(tail.read()) == [1]
    assert tail.read() == []
    with path.open("a") as stream:
        stream.write(line(2)[10:] + line(3))
    assert steps(tail.read()) == [2, 3]


def test_a_file_that_is_replaced_is_read_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1) + line(2))
    tail = Tail(path)
    tail.read()
    other = tmp_path / "other"
    other.write_text(line(1))
    other.replace(path)
    assert steps(tail.read()) == [1]


def test_damaged_lines_are_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    deep = "[" * 100_000
    path.write_text(f"{line(1)}\0\0\nno\n[3]\n{deep}\n{line(2)}")
    assert steps(Tail(path).read()) == [1, 2]


def test_the_end_of_a_long_file_is_read_alone(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(line(i) for i in range(1, 20_001)))
    found = steps(last_lines(path))
    assert found[-1] == 20_000
    assert 1000 < len(found) < 20_000
    assert found == list(range(found[0], 20_001))
