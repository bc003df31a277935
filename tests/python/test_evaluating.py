import json
import math
from types import SimpleNamespace

import pytest

from eisbach import evaluating
from eisbach.data.tokenizer import ByteTokenizer


@pytest.mark.parametrize("tokens", [2, 5, 8, 9, 10, 23, 64])
@pytest.mark.parametrize("context", [1, 4, 8])
def test_each_token_but_the_first_counts_once(tokens, context):
    for stride in range(1, context + 1):
        counted = []
        for begin, end, count in evaluating.windows(tokens, context, stride):
            assert 0 <= begin < end <= begin + context
            assert 1 <= count <= end - begin
            counted += range(end - count + 1, end + 1)
        assert counted == list(range(1, tokens))


def _model(loss, context=8, begin=()):
    """One whose loss of a target after some tokens is `loss`."""

    class Words(ByteTokenizer):
        begin_of_document = begin

    def losses(batch):
        tokens = batch.tokens.numpy()[0].tolist()
        targets = batch.targets.numpy()[0].tolist()
        return [
            sum(
                loss(tokens[: i + 1], target)
                for i, target in enumerate(targets)
                if target >= 0
            )
        ]

    from eisbach import _C

    device = _C.init().device
    config = SimpleNamespace(model=SimpleNamespace(context=context))
    engine = SimpleNamespace(config=config, device=device, sample_losses=losses)
    return SimpleNamespace(engine=engine, tokenizer=Words())


def test_the_figures_of_a_text(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("abcdefghijklmnopqrstu")
    score = evaluating.score_text(
        _model(lambda seen, target: math.log(4)), file, stride=3
    )
    assert (score.tokens, score.bytes) == (20, 20)
    assert score.nats_per_token == pytest.approx(math.log(4))
    assert score.perplexity == pytest.approx(4)
    assert score.bits_per_byte == pytest.approx(2)
    begun = evaluating.score_text(
        _model(lambda seen, target: 1.0, begin=(7,)), file, stride=8
    )
    assert (begun.tokens, begun.bytes) == (21, 21)
    both = evaluating.total([score, begun])
    assert both.tokens == 41
    assert both.loss == pytest.approx(20 * math.log(4) + 21)


def test_a_token_is_seen_with_what_the_stride_leaves(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("a" * 30)
    for stride, least in ((8, 1), (5, 4), (1, 8)):
        seen = []
        evaluating.score_text(
            _model(lambda tokens, _, seen=seen: seen.append(len(tokens)) or 0),
            file,
            stride=stride,
        )
        assert len(seen) == 29
        assert min(seen[8:]) == least


def test_bad_texts_and_strides(tmp_path):
    file = tmp_path / "a.txt"
    model = _model(lambda seen, target: 1.0)
    for content, stride, reason in (
        (b"a", 4, "no two tokens"),
        (b"\xff", 4, "not UTF-8 at byte 0"),
        (b"abc", 9, "--stride"),
    ):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=reason):
            evaluating.score_text(model, file, stride=stride)
    with pytest.raises(ValueError, match="No such file"):
        evaluating.score_text(model, tmp_path / "b.txt", stride=4)


def _questions(path, *rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_the_likeliest_choice_is_the_answer(tmp_path):
    """Capital letters cost more; so the short one wins, or the small one."""
    file = _questions(
        tmp_path / "q.jsonl",
        {"question": "1 + 1 =", "choices": ["two", "B"], "answer": 1},
        {"question": "x ", "choices": ["two", "B"], "answer": "two"},
        {"question": "x", "choices": ["CC", "BB", "aa"], "answer": 2},
    )
    model = _model(
        lambda seen, target: 2.0 if chr(target).isupper() else 1.0, context=30
    )
    score = evaluating.score_choices(model, file)
    assert (score.questions, score.cut) == (3, 0)
    assert (score.right, score.right_by_length) == (2, 2)
    assert score.accuracy == pytest.approx(2 / 3)


def test_only_the_choice_counts_and_a_question_is_cut_at_its_front(tmp_path):
    asked = []

    def loss(seen, target):
        asked.append((bytes(seen).decode(), chr(target)))
        return 1.0

    file = _questions(
        tmp_path / "q.jsonl",
        {"question": "0123456789", "choices": ["ab", "c"], "answer": 0},
    )
    score = evaluating.score_choices(_model(loss), file)
    assert score.cut == 1
    assert asked == [
        ("456789", " "),
        ("456789 ", "a"),
        ("456789 a", "b"),
        ("3456789", " "),
        ("3456789 ", "c"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "q.jsonl:1: no question of the form"),
        ("[]", "no question of the form"),
        ('{"question": "a", "choices": ["b", "c"]}', "of the form"),
        ('{"question": 1, "choices": ["b", "c"], "answer": 0}', "no text"),
        ('{"question": "a", "choices": ["b", " "], "answer": 0}', "no list"),
        ('{"question": "a", "choices": ["b"], "answer": 0}', "1 choices"),
        ('{"question": "a", "choices": ["b", "c"], "answer": 2}', "answer=2"),
        ('{"question": "a", "choices": ["b", "c"], "answer": -1}', "answer=-1"),
        ('{"question": "a", "choices": ["b", "c"], "answer": true}', "True"),
        ('{"question": "a", "choices": ["b", "c"], "answer": "d"}', "'d'"),
        ("", "has no question"),
    ],
)
def test_what_is_no_question(tmp_path, line, reason):
    file = tmp_path / "q.jsonl"
    file.write_text(line)
    with pytest.raises(ValueError, match=reason):
        evaluating.read_questions(file)


def test_tables_have_columns():
    assert evaluating.table([("a", "bb"), ("ccc", "1")]) == [
        "a    bb",
        "ccc   1",
    ]


def test_a_choice_longer_than_the_context(tmp_path):
    file = _questions(
        tmp_path / "q.jsonl",
        {"question": "a", "choices": ["b" * 20, "c"], "answer": 0},
    )
    with pytest.raises(ValueError, match="more than the context of 8"):
        evaluating.score_choices(_model(lambda seen, target: 1.0), file)
