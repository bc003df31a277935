"""lm-evaluation-harness gets what the model itself says."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from eisbach import _C
from eisbach.evaluating import score_choices
from eisbach.sampling import SamplingOptions, generate, load_model
from support.peers import write_random

pytestmark = pytest.mark.filterwarnings("ignore")  # of packages of others
QUESTIONS = [
    {"question": "ab", "choices": ["c", "dd", "e f"], "answer": 1},
    {"question": "the sea", "choices": ["bird", "x"], "answer": 0},
    {"question": "12 + 1", "choices": ["= 3", "= 13"], "answer": 1},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    write_random(
        folder, "llama", vocab_size=256, max_position_embeddings=24,
        eos_token_id=0, bos_token_id=None,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def asked(folder):
    from eisbach.harness import Eisbach

    return Eisbach.create_from_arg_string(
        f"run={folder},precision.compute=f32", {"batch_size": 2}
    )


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder, ["precision.compute=f32"])


def requests(*arguments):
    return [SimpleNamespace(args=one) for one in arguments]


def likelihoods(model, ids):
    """Of each token but the first, and whether it is the likeliest."""
    rows = np.array([ids[:-1]], np.int32)
    tensor = _C.Tensor.from_numpy(rows, model.engine.device)
    logits = model.engine.logits(tensor).numpy()[0].astype(np.float64)
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    right = logits.argmax(-1) == ids[1:]
    return logits[np.arange(len(ids) - 1), ids[1:]], right


def test_the_likelihood_of_an_end(asked, model):
    greedy = generate(
        model, [list(b"ab")], SamplingOptions(tokens=1, temperature=0)
    )[0].text
    pairs = [("ab", " cd"), ("the s", "ea"), ("", "xyz"), ("y" * 30, "z")]
    if greedy.isascii() and greedy:
        pairs.append(("ab", greedy))
    found = asked.loglikelihood(requests(*pairs), disable_tqdm=True)
    for (before, after), (score, likeliest) in zip(pairs, found, strict=True):
        ids = list((before or "\0").encode() + after.encode())[-25:]
        each, right = likelihoods(model, ids)
        assert score == pytest.approx(each[-len(after) :].sum(), rel=1e-4)
        assert likeliest == right[-len(after) :].all()
    assert asked.prefix_token_id == asked.eot_token_id == 0


def test_whole_texts(asked, model):
    for text in ("a short one", "one that does not fit its context " * 3):
        (found,) = asked.loglikelihood_rolling(requests((text,)))
        ids = list(b"\0" + text.encode())
        expected = likelihoods(model, ids[:25])[0].sum()
        for begin in range(25, len(ids), 24):
            end = min(begin + 24, len(ids))
            # Each window is full, and ends with what is new.
            each = likelihoods(model, ids[end - 25 : end])[0]
            expected += each[begin - end :].sum()
        assert found == pytest.approx(expected, rel=1e-4)


def test_texts_are_made_as_asked(asked, model):
    plain = {"until": ["\n"], "max_gen_toks": 5, "do_sample": False}
    asks = [("ab", plain), ("the", {**plain, "max_gen_toks": 3}), ("x", plain)]
    found = asked.generate_until(requests(*asks))
    for (prompt, said), text in zip(asks, found, strict=True):
        options = SamplingOptions(
            tokens=said["max_gen_toks"], temperature=0, stops=("\n",)
        )
        (reply,) = generate(model, [list(prompt.encode())], options)
        assert text == reply.text
    with pytest.raises(ValueError, match="num_beams: how the task"):
        asked.generate_until(requests(("a", {"num_beams": 3})))


def test_what_the_class_does_not_take(folder):
    from eisbach.harness import Eisbach

    with pytest.raises(ValueError, match="batch_size=auto"):
        Eisbach(str(folder), batch_size="auto")


def test_a_task_of_ones_own(folder, model, tmp_path):
    """A file of questions, as `eisbach eval` scores it."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from eisbach.harness import Eisbach

    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS))
    (tmp_path / "tiny.yaml").write_text(
        "task: tiny\n"
        "dataset_path: json\n"
        f"dataset_kwargs: {{data_files: {{test: {file}}}, "
        f"cache_dir: {tmp_path}}}\n"
        "test_split: test\n"
        "output_type: multiple_choice\n"
        'doc_to_text: "{{question}}"\n'
        'doc_to_choice: "{{choices}}"\n'
        "doc_to_target: answer\n"
        "metric_list: [{metric: acc}, {metric: acc_norm}]\n"
    )
    done = simple_evaluate(
        model="eisbach",
        model_args=f"run={folder},precision.compute=f32",
        tasks=["tiny"],
        device="cuda:0",  # as its command says where nobody does
        task_manager=TaskManager(
            include_path=str(tmp_path), include_defaults=False
        ),
        bootstrap_iters=0,
    )
    found = done["results"]["tiny"]
    expected = score_choices(model, file)
    assert found["acc,none"] == pytest.approx(expected.accuracy)
    assert found["acc_norm,none"] == pytest.approx(expected.accuracy_by_length)
    said = [score for sample in done["samples"]["tiny"]
            for score in sample["filtered_resps"]]  # fmt: skip
    asked = Eisbach(str(folder), **{"precision.compute": "f32"})
    pairs = [(q["question"], f" {c}") for q in QUESTIONS for c in q["choices"]]
    again = asked.loglikelihood(requests(*pairs), disable_tqdm=True)
    assert [score for score, _ in said] == pytest.approx(
        [score for score, _ in again]
    )


def test_the_command_is_that_of_the_harness(monkeypatch, capsys):
    from eisbach import harness

    monkeypatch.setattr(sys, "argv", ["harness", "run", "--help"])
    with pytest.raises(SystemExit) as ended:
        harness.main()
    assert not ended.value.code
    assert "--model_args" in capsys.readouterr().out
