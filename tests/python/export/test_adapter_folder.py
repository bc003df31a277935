"""Adapters against PEFT on the same model, and its files both ways."""

import json
import math

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.numpy import load_file

from eisbach import _C
from eisbach.config import make_config
from eisbach.core_config import complete, engine_config
from eisbach.export.adapter_folder import export_adapter
from eisbach.export.adapter_start import WEIGHTS
from eisbach.export.load import load_weights
from eisbach.export.peft_config import FILE

# Of PEFT about transformers, and of PEFT about tables that are tied.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
CONTEXT = 16
BATCH = 4
STEPS = 30
LR = 3e-3
DECAY = 0.1
TRAINED = ("lora_", "modules_to_save", "trainable_tokens")


@pytest.fixture(scope="module")
def world():
    return _C.init()


@pytest.fixture
def base(tmp_path):
    """Makes a folder of transformers, in f32."""

    def base(kind, **keys):
        sizes = {
            "vocab_size": 61,
            "hidden_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 6,
            "max_position_embeddings": CONTEXT,
        }
        if kind != "gpt2":
            sizes |= {"intermediate_size": 40, "num_key_value_heads": 2}
        torch.manual_seed(5)
        described = transformers.AutoConfig.for_model(kind, **sizes, **keys)
        net = transformers.AutoModelForCausalLM.from_config(described)
        with torch.no_grad():  # so that no logits are nearly equal
            for weight in net.parameters():
                if weight.dim() > 1:
                    weight.mul_(5)
        net.save_pretrained(tmp_path / "base")
        return tmp_path / "base"

    return base


def configure(base, **adapter):
    return complete(
        make_config(
            model={"from": str(base)},
            adapter=adapter,
            data={"tokenizer": "bytes"},
            train={"global_batch": BATCH, "micro_batch": 2, "steps": STEPS},
            optimizer={
                "lr": LR,
                "min_lr": LR,
                "schedule": "constant",
                "warmup_steps": 0,
                "weight_decay": DECAY,
                "betas": [0.9, 0.95],
                "clip_grad_norm": 1.0,
            },
            precision={"compute": "f32"},
        )
    )


def engine_for(config, world):
    context = _C.ParallelContext(world, _C.Mesh(1))
    engine = _C.Engine(engine_config(config), context)
    load_weights(engine, config, None, world)
    return engine


class ByHand(torch.nn.Module):
    """The formula of LoRA around a linear layer or a Conv1D."""

    def __init__(self, layer, a, b, scale):
        super().__init__()
        self.layer = layer
        self.a = torch.nn.Parameter(torch.from_numpy(a.copy()))
        self.b = torch.nn.Parameter(torch.from_numpy(b.copy()))
        self.scale = scale

    def forward(self, x):
        return self.layer(x) + self.scale * (x @ self.a.T) @ self.b.T


def adapted_by_hand(base, folder, config):
    """Knows nothing of PEFT but the names in its file."""
    net = transformers.AutoModelForCausalLM.from_pretrained(base)
    net.requires_grad_(False)
    adapter = config.adapter
    root = math.sqrt(adapter.rank) if adapter.rslora else adapter.rank
    tensors = load_file(folder / WEIGHTS)
    for name in tensors:
        path = name.removeprefix("base_model.model.")
        if name.endswith(".lora_A.weight"):
            path = path.removesuffix(".lora_A.weight")
            a, b = tensors[name], tensors[name.replace("lora_A", "lora_B")]
            layer = net.get_submodule(path)
            net.set_submodule(path, ByHand(layer, a, b, adapter.alpha / root))
        elif "lora_B" not in name:
            net.get_parameter(path).requires_grad_(True)
    return net


def adapted_by_peft(base, folder, config):
    net = transformers.AutoModelForCausalLM.from_pretrained(base)
    return peft.PeftModel.from_pretrained(net, folder, is_trainable=True)


KINDS = {
    "llama": ("llama", {"tie_word_embeddings": False}, {}),
    "qwen2": (
        "qwen2",
        {"tie_word_embeddings": True},
        {"targets": ["query", "value", "down"], "rslora": True},
    ),
    "head": (
        "llama",
        {"tie_word_embeddings": False},
        {"targets": ["key", "up"], "modules_to_save": ["head"]},
    ),
    "gpt2": ("gpt2", {"activation_function": "gelu_new"}, {}),
    "phi3": ("phi3", {"tie_word_embeddings": False, "pad_token_id": None}, {}),
    "gemma2": ("gemma2", {"head_dim": 4, "sliding_window": 5}, {}),
    "apertus": ("apertus", {}, {"targets": ["query", "up", "down"]}),
    "tokens": (
        "llama",
        {"tie_word_embeddings": False},
        {"tokens": [0, 5, 6, 60]},
    ),
    "tied tokens": (
        "qwen2",
        {"tie_word_embeddings": True},
        {"targets": ["value"], "tokens": [0, 5, 6, 60]},
    ),
    "tokens of a head": (
        "llama",
        {"tie_word_embeddings": False},
        {"modules_to_save": ["embedding"], "tokens": [1, 59]},
    ),
}


@pytest.mark.parametrize(
    ("kind", "reference"),
    [
        *((kind, adapted_by_peft) for kind in KINDS),
        *((kind, adapted_by_hand) for kind in KINDS if "token" not in kind),
    ],
)
def test_thirty_steps_equal(base, world, tmp_path, kind, reference):
    family, keys, adapter = KINDS[kind]
    folder = base(family, **keys)
    config = configure(folder, rank=4, alpha=12.0, **adapter)
    engine = engine_for(config, world)
    written = tmp_path / "adapter"
    export_adapter(written, config, engine.gather(adapter=True), None)
    theirs = reference(folder, written, config)
    theirs.eval()  # GPT-2 drops some by default
    trained = [p for p in theirs.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == (
        engine.config.model.trained_parameters
    )
    optimizer = torch.optim.AdamW(
        trained, lr=LR, betas=(0.9, 0.95), eps=1e-8, weight_decay=DECAY
    )
    rng = np.random.default_rng(3)
    first = None
    for _ in range(STEPS):
        tokens = np.minimum(*rng.integers(0, 61, (2, BATCH, CONTEXT + 1)))
        batch = _C.Batch(tokens[:, :-1], tokens[:, 1:], engine.device)
        ours = engine.step(batch).loss
        told = torch.from_numpy(tokens).long()
        logits = theirs(input_ids=told[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), told[:, 1:].flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        assert ours == pytest.approx(loss.item(), rel=1e-5)
        first = first or ours
    assert ours < first - 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_those_of_peft_both_ways(base, world, tmp_path, kind):
    family, keys, adapter = KINDS[kind]
    folder = base(family, **keys)
    ours = configure(folder, rank=4, **adapter)
    engine = engine_for(ours, world)
    export_adapter(tmp_path / "a", ours, engine.gather(adapter=True), None)
    # Theirs with other values, also of B.
    net = transformers.AutoModelForCausalLM.from_pretrained(folder)
    theirs = peft.PeftModel.from_pretrained(net, tmp_path / "a")
    told = theirs.peft_config["default"]
    assert told.base_model_name_or_path == str(folder)
    assert told.fan_in_fan_out == (kind == "gpt2")
    torch.manual_seed(7)
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            if any(part in name for part in TRAINED):
                weight.normal_(std=0.1)
    theirs.save_pretrained(tmp_path / "b")
    config = configure(folder, **{"from": str(tmp_path / "b")})
    assert config.adapter.rank == 4
    assert config.adapter.targets == adapter.get("targets", "all")
    assert config.adapter.tokens == adapter.get("tokens", [])
    again = engine_for(config, world)
    tokens = np.arange(CONTEXT, dtype=np.int32)[None]
    with torch.no_grad():
        wanted = theirs.eval()(torch.from_numpy(tokens).long()).logits.numpy()
    got = again.logits(tokens).numpy()
    np.testing.assert_allclose(got, wanted, atol=1e-4)
    export_adapter(tmp_path / "c", config, again.gather(adapter=True), None)
    before = load_file(tmp_path / "b" / WEIGHTS)
    after = load_file(tmp_path / "c" / WEIGHTS)
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])


def test_a_tied_table_is_there_twice(base, world, tmp_path):
    folder = base("llama", tie_word_embeddings=True)
    config = configure(folder, rank=2, modules_to_save=["embedding", "head"])
    engine = engine_for(config, world)
    export_adapter(tmp_path / "a", config, engine.gather(adapter=True), None)
    tensors = load_file(tmp_path / "a" / WEIGHTS)
    np.testing.assert_array_equal(
        tensors["base_model.model.lm_head.weight"],
        tensors["base_model.model.model.embed_tokens.weight"],
    )
    net = transformers.AutoModelForCausalLM.from_pretrained(folder)
    theirs = peft.PeftModel.from_pretrained(net, tmp_path / "a").eval()
    tokens = np.arange(CONTEXT, dtype=np.int32)[None]
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(tokens).long()).logits.numpy()
    np.testing.assert_allclose(engine.logits(tokens).numpy(), wanted, atol=1e-4)
    told = json.loads((tmp_path / "a" / FILE).read_text())
    assert told["modules_to_save"] == ["embed_tokens", "lm_head"]
