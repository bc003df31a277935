"""Conversations that a configuration names."""

import json
from pathlib import Path

import pytest

import eisbach
from eisbach import _C
from eisbach.data.chat_cache import check_chat_keys
from eisbach.data.sources import locate, mixture, run_tokenizer

TALKS = [
    {
        "messages": [
            {"role": "user", "content": f"u{i}"},
            {"role": "assistant", "content": f"a{i}"},
        ]
    }
    for i in range(8)
]


@pytest.fixture
def located(tmp_path, monkeypatch):
    """Finds the token files of a section `data`; returns lines as well."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "c.jsonl", TALKS)

    def located(**data):
        config = eisbach.make_config(
            data={"train": str(tmp_path / "c.jsonl"), **data}
        )
        said = []
        return locate(config, run_tokenizer(config), say=said.append), said

    return located


def write(path, records):
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path


def test_prepared_once_and_kept(located, tmp_path):
    found, said = located(template="chatml")
    assert "kept 8 conversations" in said
    ((train, _),), ((held, _),) = found.train, found.validation
    assert len(_C.TokenFile(train)) == 7
    assert len(_C.TokenFile(held)) == 1
    again, said = located(template="chatml")
    assert (again, said) == (found, [])
    # All that the documents depend on makes them others.
    others = [
        located(template="chatml", **more)[0].train[0][0]
        for more in (
            {"train_on": "all"},
            {"max_tokens": 60},
            {"validation": "none"},
        )
    ]
    write(tmp_path / "c.jsonl", TALKS[1:])
    others.append(located(template="chatml")[0].train[0][0])
    assert len({train, *others}) == 5


def test_a_mask_that_is_gone_is_told(located, tmp_path):
    found, _ = located(template="chatml", validation="none")
    Path(f"{found.train[0][0]}.mask").unlink()
    config = eisbach.make_config(model={"vocab": 256})
    with pytest.raises(ValueError, match=r"train\.mask is not there: prepare"):
        mixture(config, "train", found.train)
    again, said = located(template="chatml", validation="none")
    assert again == found
    assert said, "what is not whole is prepared again"


def test_what_cannot_be_prepared(located, tmp_path):
    with pytest.raises(
        ValueError, match=r"no chat template beside it.*\(data\.train\)"
    ):
        located()
    write(tmp_path / "c.jsonl", [{"text": "plain text " * 20}] * 40)
    with pytest.raises(
        ValueError, match=r"data\.train_on is about conversatio"
    ):
        located(train_on="last")
    with pytest.raises(ValueError, match=r"data\.columns: x is no field"):
        located(columns=["x=y"], shape="chat")
    located()


def test_validation_of_its_own(located, tmp_path):
    held = write(tmp_path / "v.jsonl", TALKS[:3])
    found, _ = located(template="chatml", validation=str(held))
    assert len(_C.TokenFile(found.train[0][0])) == 8
    assert len(_C.TokenFile(found.validation[0][0])) == 3


def test_keys_of_conversations_beside_texts(tmp_path):
    write(tmp_path / "d.jsonl", [{"text": "a"}])
    config = eisbach.make_config(
        data={"train": str(tmp_path / "d.jsonl"), "train_on": "all"}
    )
    with pytest.raises(ValueError, match=r"d\.jsonl is taken for texts.*shape"):
        check_chat_keys(config)
