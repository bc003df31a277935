"""The page about a model."""

import pytest

from eisbach.config import load_config, resolve
from eisbach.export.card import card
from eisbach.run.folder import RunFolder


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path)
    config = resolve(
        load_config(
            None, ["run.name=tuned", "data.train=books", "train.steps=40"]
        )
    )
    folder.write_config(config)
    folder.metrics.write_text(
        '{"step": 1, "loss": 2.5, "tokens": 100}\n'
        '{"step": 2, "loss": 2.25, "tokens": 2000}\n'
    )
    folder.validation.write_text(
        '{"step": 1, "loss": 3.0}\n{"step": 2, "loss": 2.0}\n'
    )
    return folder


def test_it_says_data_steps_and_losses(run):
    page = card(run)
    assert page.startswith("---\nlibrary_name: transformers\n")
    assert "\ntuned\n" not in page
    for line in (
        "# tuned",
        "| steps | 2 of 40 |",
        "| tokens | 2,000 |",
        "| loss of the last step | 2.2500 nats a token |",
        "| validation loss after step 2 | 2.0000 nats a token |",
        "| `data.train` | `books` |",
    ):
        assert f"{line}\n" in page
    assert "base_model" not in page
    assert "optimizer.lr" not in page  # as usual


def test_of_an_earlier_step(run):
    page = card(run, 1)
    assert "| steps | 1 of 40 |\n" in page
    assert "after step 1 | 3.0000" in page


def test_it_names_the_base(run):
    text = run.config.read_text()
    run.config.write_text(text.replace("  from: none", "  from: some/base"))
    assert "\nbase_model: some/base\n---\n" in card(run)
