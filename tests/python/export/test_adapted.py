"""Several adapters of one model: in one folder, or in folders of their own."""

import json

import numpy as np
import peft
import pytest
import torch
from safetensors.numpy import load_file

from eisbach import _C
from eisbach.cli.export import command as export
from eisbach.export.adapted import find_adapted
from eisbach.sampling import load_model
from support.peers import write_random

# Of PEFT about transformers.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
NAMES = ("default", "de", "fr")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A model and a folder of PEFT with three adapters, and PEFT's logits."""
    home = tmp_path_factory.mktemp("several")
    net = write_random(home / "base", "llama")
    net.name_or_path = str(home / "base")
    torch.manual_seed(1)
    wrapped = None
    for rank, name in enumerate(NAMES, 2):
        config = peft.LoraConfig(
            r=rank, target_modules=["q_proj", "v_proj"],
            init_lora_weights=False, task_type="CAUSAL_LM",
            base_model_name_or_path=str(home / "base"),
        )  # fmt: skip
        if wrapped is None:
            wrapped = peft.get_peft_model(net, config)
        else:
            wrapped.add_adapter(name, config)
    tokens = np.arange(16)[None]
    logits = {}
    for name in NAMES:
        wrapped.set_adapter(name)
        with torch.no_grad():
            logits[name] = wrapped(torch.from_numpy(tokens)).logits.numpy()
    wrapped.save_pretrained(home / "adapters")
    return home, logits


def logits_of(folder, **options):
    engine = load_model(
        folder, ["precision.compute=f32"], tokenizer="bytes", **options
    ).engine
    ids = np.arange(16, dtype=np.int32)[None]
    return engine.logits(_C.Tensor.from_numpy(ids, engine.device)).numpy()


@pytest.mark.parametrize("name", NAMES)
def test_one_of_several_is_named(several, name):
    home, expected = several
    found = logits_of(home / "adapters", adapter=name)
    np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-4)


def test_adapters_elsewhere_change_the_model_that_is_named(several, tmp_path):
    home, expected = several
    moved = tmp_path / "fr"
    moved.symlink_to(home / "adapters" / "fr")
    found = logits_of(home / "base", adapter=str(moved))
    np.testing.assert_allclose(found, expected["fr"], rtol=1e-4, atol=1e-4)
    plain = logits_of(home / "base")
    assert np.abs(plain - expected["fr"]).max() > 1e-2


def test_each_is_exported_and_none_has_the_model(several, tmp_path):
    home, expected = several
    for name in ("de", "fr"):
        export(str(home / "adapters" / name), output=tmp_path / name)
        found = logits_of(tmp_path / name)
        np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-4)
        alone = tmp_path / f"{name}-alone"
        export(str(home / "adapters" / name), output=alone, adapter=True)
        names = load_file(alone / "adapter_model.safetensors")
        assert names
        assert all("lora_" in one for one in names)


def test_which_one_is_asked_for(several, tmp_path):
    home, _ = several
    for name in ("de", "fr"):
        (tmp_path / name).symlink_to(home / "adapters" / name)
    with pytest.raises(ValueError, match=r"as in .*/de; they are de, fr"):
        find_adapted(tmp_path)
    with pytest.raises(ValueError, match=r"no adapters 'it'.*there are de, fr"):
        find_adapted(tmp_path, name="it")
    assert find_adapted(home / "adapters").folder == home / "adapters"
    described = json.loads(
        (home / "adapters" / "de" / "adapter_config.json").read_text()
    )
    assert described["r"] == 3
