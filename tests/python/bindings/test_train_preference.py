"""Learning from pairs of answers against a loop of PyTorch."""

import copy

import numpy as np
import pytest

from eisbach import _C

STEPS = 12
BATCH = 4
CONTEXT = 24


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Token files of twelve pairs whose prompts have other lengths."""
    prefix = str(tmp_path_factory.mktemp("pairs") / "x")
    writer = _C.TokenFileWriter(prefix, dtype="u8", masked=True)
    rng = np.random.default_rng(3)
    for _ in range(12):
        prompt = rng.integers(0, 61, rng.integers(2, 6))
        for _ in range(2):
            answer = rng.integers(0, 61, rng.integers(1, 8))
            ids = np.concatenate([prompt, answer]).astype(np.int32)
            mask = np.arange(len(ids)) >= len(prompt)
            writer.add_document(ids, mask.astype(np.int32))
    writer.close()
    return prefix


def corpus_of(prefix, **changes):
    options = {"context": CONTEXT, "vocab": 61, "seed": 5}
    return _C.Corpus(
        [(prefix, 1.0)], documents="pairs", **{**options, **changes}
    )


def engine_of(make, **preference):
    plain = make.engine_config(
        family="llama", kv_heads=2, context=CONTEXT, tie_embeddings=False
    )
    names = ("update", "recompute", "deferred_weights", "pipeline_schedule")
    config = _C.EngineConfig(
        model=plain.model,
        global_batch=BATCH,
        micro_batch=2,
        layers_per_stage=[],
        preference=_C.PreferenceConfig(stored_reference=True, **preference),
        **{name: getattr(plain, name) for name in names},
    )
    return _C.Engine(config, make.context)


def net_of(engine, make):
    import torch
    import transformers

    from eisbach.config import make_config, resolve
    from eisbach.export.families import FAMILIES

    sizes = {
        name: getattr(engine.config.model, name)
        for name in ("layers", "hidden", "heads", "kv_heads", "ffn_hidden")
    }
    model = resolve(
        make_config(
            model={
                "family": "llama",
                "context": CONTEXT,
                "vocab": 61,
                "tie_embeddings": False,
                **sizes,
            }
        )
    ).model
    names = FAMILIES["llama"]
    described = names.config(model)
    config = transformers.LlamaConfig(**described)
    config._attn_implementation = "eager"
    net = transformers.LlamaForCausalLM(config).to(torch.float32)
    theirs = names.to_theirs(make.whole(engine, "master"), model)
    net.load_state_dict(
        {n: torch.from_numpy(v) for n, v in theirs.items()}, strict=False
    )
    return net


def log_probabilities(net, batch, row, first):
    """The sum over the trained tokens of an answer alone in its row."""
    import torch

    starts = batch.starts.numpy()[row]
    begin = 0 if first else next(iter(starts[starts > 0]), CONTEXT)
    here = starts == begin
    ids = torch.from_numpy(batch.tokens.numpy()[row][here].astype(np.int64))
    wanted = torch.from_numpy(batch.targets.numpy()[row][here].astype(np.int64))
    logits = net(ids[None]).logits[0].log_softmax(-1)
    kept = wanted >= 0
    found = logits[kept].gather(1, wanted[kept][:, None])
    return found.sum(), kept.sum()


def loss_of(net, reference, batch, *, beta, label_smoothing, variant):
    """The losses `sigmoid` and `ipo` of TRL's DPOTrainer."""
    import torch
    from torch.nn.functional import logsigmoid

    losses, rewards = [], []
    for row in range(BATCH):
        shifts = []
        for first in (True, False):
            ours, count = log_probabilities(net, batch, row, first)
            with torch.no_grad():
                theirs, _ = log_probabilities(reference, batch, row, first)
            shift = ours - theirs
            shifts.append(shift / count if variant == "ipo" else shift)
        delta = shifts[0] - shifts[1]
        if variant == "ipo":
            losses.append((delta - 1 / (2 * beta)) ** 2)
        else:
            losses.append(
                -logsigmoid(beta * delta) * (1 - label_smoothing)
                - logsigmoid(-beta * delta) * label_smoothing
            )
        rewards.append([beta * float(s.detach()) for s in shifts])
    chosen, rejected = np.array(rewards).T
    return (
        torch.stack(losses).mean(),
        (chosen.mean(), rejected.mean(), (chosen > rejected).mean()),
    )


@pytest.mark.parametrize(
    "rule",
    [
        {"beta": 0.3, "label_smoothing": 0.0, "variant": "sigmoid"},
        {"beta": 0.3, "label_smoothing": 0.2, "variant": "sigmoid"},
        {"beta": 0.2, "label_smoothing": 0.0, "variant": "ipo"},
    ],
)
def test_steps_equal_those_of_pytorch(make, pairs, rule):
    import torch

    engine = engine_of(make, **rule)
    corpus = corpus_of(pairs)
    told = []
    _C.measure_reference(engine, corpus, lambda *one: told.append(one))
    assert told == [(4, 12), (8, 12), (12, 12)]
    loader = _C.DataLoader(corpus, global_batch=BATCH)
    net = net_of(engine, make)
    reference = copy.deepcopy(net)
    groups = [
        {"params": [p for p in net.parameters() if p.dim() >= 2]},
        {
            "params": [p for p in net.parameters() if p.dim() < 2],
            "weight_decay": 0.0,
        },
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=3e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1
    )
    for _ in range(STEPS):
        batch = loader.next(engine.device)
        loss, rewards = loss_of(net, reference, batch, **rule)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        result = engine.step(batch)
        assert result.loss == pytest.approx(loss.item(), rel=1e-5)
        assert result.grad_norm == pytest.approx(norm.item(), rel=1e-4)
        assert result.counted == BATCH
        found = result.rewards
        assert found.chosen == pytest.approx(rewards[0], abs=1e-5)
        assert found.rejected == pytest.approx(rewards[1], abs=1e-5)
        assert found.margin == pytest.approx(found.chosen - found.rejected)
        assert abs(found.accuracy - rewards[2]) <= 1 / BATCH
    assert found.margin > 1e-3


def test_a_reference_is_kept_and_known_again(make, pairs, tmp_path):
    engine, corpus = engine_of(make, beta=0.1), corpus_of(pairs)
    _C.measure_reference(engine, corpus, lambda *one: None)
    path = tmp_path / "reference"
    corpus.write_reference(path, bound_to="this run")
    again = corpus_of(pairs)
    again.read_reference(path, bound_to="this run")
    losses = [
        engine.evaluate(
            _C.DataLoader(c, global_batch=BATCH).next(engine.device)
        )
        for c in (corpus, again)
    ]
    assert losses[0] == losses[1] == pytest.approx(np.log(2), abs=1e-6)
    with pytest.raises(ValueError, match="of another model"):
        corpus_of(pairs).read_reference(path, bound_to="that run")
    raw = path.read_bytes()
    for damaged in (raw[:-8], raw + b"x", raw[:50] + b"x" + raw[51:], b""):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            corpus_of(pairs).read_reference(path, bound_to="this run")


def test_what_has_no_pairs_is_refused(make, pairs):
    corpus = _C.Corpus([(pairs, 1.0)], context=8, vocab=61, seed=0)
    with pytest.raises(RuntimeError, match="documents=pairs"):
        _C.measure_reference(
            engine_of(make, beta=0.1), corpus, lambda *one: None
        )
    with pytest.raises(ValueError, match="none of sigmoid, ipo"):
        _C.PreferenceConfig(beta=0.1, variant="hinge")
