import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from eisbach.config import load_config, resolve, schema


@pytest.mark.parametrize("name", ["gpt_bytes", "llama_bytes", "tiny"])
def test_shipped_files_load_and_print_as_themselves(repo, tmp_path, name):
    file = repo / "configs" / f"{name}.yaml"
    config = resolve(load_config(file), file=file, vocab=256)
    assert config.run.name == name
    printed = tmp_path / "printed.yaml"
    printed.write_text(config.as_yaml())
    again = load_config(printed)
    assert again.model_dump() == config.model_dump()


def test_printing_keeps_odd_values(tmp_path):
    values = [
        'run.name="true"',
        'run.dir="1e5"',
        'data.tokenizer="a: #b"',
        "data.train=[{path: x y, weight: 1e-7}]",
        "parallel.layers_per_stage=[1, 3]",
        "optimizer.groups=[{parameters: ['a.*'], frozen: true},"
        " {parameters: [b], lr_factor: 0.5, weight_decay: 0}]",
    ]
    config = load_config(None, values)
    printed = tmp_path / "printed.yaml"
    printed.write_text(config.as_yaml())
    assert load_config(printed).model_dump() == config.model_dump()
    assert "  # command line" in config.as_yaml()
    assert "  # default" in config.as_yaml()


def test_configuration_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        load_config().model.layers = 3


def test_schema_forbids_unknown_keys_and_describes_each():
    root = schema()
    json.dumps(root)
    for name, definition in root["$defs"].items():
        assert definition["additionalProperties"] is False, name
        for key, prop in definition["properties"].items():
            assert prop.get("description"), (name, key)


def test_message_of_the_core_is_located():
    config = load_config(None, ["parallel.tensor=3"])
    message = "tensor=3 does not divide heads=4 (parallel.tensor)"
    assert config.locate(message) == f"command line: parallel.tensor: {message}"
    message = '"a" is the name of no parameter (optimizer.groups.0.parameters)'
    assert config.locate(message) == f"default: optimizer.groups: {message}"
    assert config.locate("no key (here)") == "no key (here)"
    assert config.locate("odd (model.nothing)") == "odd (model.nothing)"
    message = (
        "parallel.pipeline=1 x parallel.tensor=3 = 3 does not divide 2 ranks"
        "; nearest that works: parallel.tensor=2"
    )
    assert config.locate(message) == f"command line: parallel.tensor: {message}"
    message = "data.train: x: no such file"
    assert config.locate(message) == f"default: {message}"
    config = load_config(None, ["model.vocab=9"])
    message = "model.vocab=9 is less than 256, as x needs (data.train)"
    assert config.locate(message) == f"command line: model.vocab: {message}"
    message = "no key; nearest that works: parallel.tensor=2"
    assert config.locate(message) == message


def test_import_loads_nothing():
    code = (
        "import sys; import eisbach; "
        "heavy = {'pydantic', 'numpy', 'ruamel.yaml', 'typer', 'matplotlib', "
        "'eisbach._C'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
