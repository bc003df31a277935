"""Section `adapter`: what is trained beside a model that stays as it is."""

from typing import Annotated, Literal

from pydantic import Field, create_model

from eisbach.config.section import (
    Auto,
    FilePath,
    Fraction,
    Natural,
    Positive,
    Section,
    key,
)

_Projection = Literal[
    "qkv",
    "query",
    "key",
    "value",
    "output",
    "gate_up",
    "gate",
    "up",
    "down",
]
_Projections = Annotated[list[_Projection], Field(min_length=1)]


class _Adapter(Section):
    rank: Natural = key(
        0,
        "Rows of A, columns of B: how much an adapter can say. 0: there are "
        "none, and the model itself is trained.",
        known_as="r lora_r lora_rank lora_dim",
    )
    alpha: Auto | Positive = key(
        "auto",
        "What an adapter adds is multiplied by `alpha` / `rank`. `auto`: 2 x "
        "`rank`.",
        known_as="lora_alpha",
    )
    targets: Literal["all"] | _Projections = key(
        "all",
        "Projections that have one, of `query`, `key`, `value`, `output`, "
        "`gate`, `up`, `down`. `qkv` instead of the first three in GPT-2 "
        "and Phi-3, whose files have them as one layer, no `gate` in GPT-2, "
        "and `gate_up` instead of both in Phi-3.",
        known_as="target_modules lora_target lora_target_modules",
    )
    dropout: Fraction = key(
        0.0, "Share of an adapter's input that is dropped.",
        known_as="lora_dropout",
    )  # fmt: skip
    rslora: bool = key(
        False,
        "Multiply by `alpha` / sqrt(`rank`) instead (arXiv:2312.03732).",
        known_as="use_rslora",
    )
    modules_to_save: list[Literal["embedding", "head"]] = key(
        [],
        "Tables that are trained whole beside the adapters. Both, where the "
        "head is the embedding.",
        known_as="lora_modules_to_save",
    )
    tokens: Auto | list[Natural] = key(
        "auto",
        "Ids of tokens whose rows in the other tables are trained, in "
        "increasing order. `auto`: those of `model.add_tokens` and "
        "`model.add_special_tokens`.",
        known_as="trainable_token_indices",
    )


# `from` is no name that a class body could give.
AdapterSection = create_model(
    "AdapterSection",
    __base__=_Adapter,
    __doc__="Low-rank adapters (LoRA) beside a model that stays as it is.",
    __module__=__name__,
    **{
        "from": (
            FilePath,
            key(
                "none",
                "Folder of PEFT's form that the adapters are from; what its "
                "`adapter_config.json` says need not be said again. `none`: "
                "new ones, which change nothing before they are trained.",
                known_as="adapter_name_or_path lora_model_dir",
            ),
        )
    },
)
