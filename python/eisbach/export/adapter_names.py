"""Where the parts of an adapter lie in a folder of PEFT's form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from eisbach.export.families import FAMILIES
from eisbach.export.stored import Stored, rows_of

if TYPE_CHECKING:
    from eisbach.config.adapter import AdapterSection
    from eisbach.config.model import ModelSection

PREFIX = "base_model.model."
# PEFT's, of a module of which single tokens are trained.
TOKEN_ROWS = ".token_adapter.trainable_tokens_delta"
_TABLES = {"embedding": "embedding.token", "head": "head"}


def projections(model: ModelSection, adapter: AdapterSection) -> list[str]:
    """Returns which there are adapters of, as in `attention.query`."""
    return [
        own
        for own in FAMILIES[model.family].ADAPTED
        if adapter.targets == "all" or own.rpartition(".")[2] in adapter.targets
    ]


def target_modules(model: ModelSection, adapter: AdapterSection) -> list[str]:
    """Returns PEFT's names of the layers that have an adapter."""
    family = FAMILIES[model.family]
    return [family.ADAPTED[own] for own in projections(model, adapter)]


def saved_modules(model: ModelSection, adapter: AdapterSection) -> list[str]:
    """Returns PEFT's names of the tables that are trained whole."""
    tables = FAMILIES[model.family].TABLES
    return [tables[name].rpartition(".")[2] for name in adapter.modules_to_save]


def token_modules(
    model: ModelSection, adapter: AdapterSection
) -> dict[str, str]:
    """Returns the tables of which rows are trained, by our name of those."""
    if adapter.tokens in ("auto", []):
        return {}
    names = [
        name
        for name in ("embedding", "head")
        if name not in adapter.modules_to_save
        and not (name == "head" and model.tie_embeddings)
    ]
    tables = FAMILIES[model.family].TABLES
    return {f"{_TABLES[name]}.rows.weight": tables[name] for name in names}


def adapter_places(
    model: ModelSection, adapter: AdapterSection
) -> Iterator[tuple[str, Stored]]:
    """Yields the logical name of each part and where a file has it.

    A table that is embedding and head is there twice; ours comes once.
    """
    family = FAMILIES[model.family]
    for i in range(model.layers):
        for own in projections(model, adapter):
            name = f"{PREFIX}{family.LAYER}.{i}.{family.ADAPTED[own]}"
            block = f"blocks.{i}"
            yield (
                f"{block}.{own}.lora_a.weight",
                Stored(f"{name}.lora_A.weight"),
            )
            if own not in family.STACKED:
                yield (
                    f"{block}.{own}.lora_b.weight",
                    Stored(f"{name}.lora_B.weight"),
                )
                continue
            first = 0
            for part in family.STACKED[own]:
                rows = rows_of(part, model)
                yield (
                    f"{block}.{part}.lora_b.weight",
                    Stored(f"{name}.lora_B.weight", first, rows),
                )
                first += rows
    for own, module in token_modules(model, adapter).items():
        yield own, Stored(f"{PREFIX}{module}{TOKEN_ROWS}")
    for table in adapter.modules_to_save:
        if table == "head" and model.tie_embeddings:
            continue
        yield (
            f"{_TABLES[table]}.weight",
            Stored(f"{PREFIX}{family.TABLES[table]}.weight"),
        )


def head_copy(model: ModelSection, adapter: AdapterSection) -> str | None:
    """Returns the name of a second copy of a tied table; None without."""
    if not (model.tie_embeddings and adapter.modules_to_save):
        return None
    return f"{PREFIX}{FAMILIES[model.family].TABLES['head']}.weight"
