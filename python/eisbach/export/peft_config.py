"""The `adapter_config.json` of PEFT, both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.export.adapter_names import (
    saved_modules,
    target_modules,
    token_modules,
)
from eisbach.export.described import Described
from eisbach.export.families import FAMILIES

if TYPE_CHECKING:
    from eisbach.config.adapter import AdapterSection
    from eisbach.config.model import ModelSection

FILE = "adapter_config.json"
# What changes the mathematics and is not there, with what it may be.
_ABSENT: tuple[tuple[str, Any], ...] = (
    ("use_dora", False),
    ("rank_pattern", {}),
    ("alpha_pattern", {}),
    ("bias", "none"),
    ("lora_bias", False),
    ("use_qalora", False),
    ("layers_to_transform", None),
    ("layer_replication", None),
    ("target_parameters", None),
    ("alora_invocation_tokens", None),
    ("use_bdlora", None),
    ("arrow_config", None),
    ("kasa_config", None),
    ("velora_config", None),
    ("monteclora_config", None),
    ("megatron_config", None),
)
# Initial values, which the file of weights replaces, and notes. The layers
# themselves are found by their tensors.
_NOTES = (
    "auto_mapping base_model_name_or_path exclude_modules inference_mode "
    "layers_pattern loftq_config eva_config corda_config lora_ga_config "
    "megatron_core peft_version revision runtime_config task_type "
    "qalora_group_size ensure_weight_tying"
)


def peft_config(
    model: ModelSection, adapter: AdapterSection, base: str
) -> dict[str, Any]:
    """Returns what `adapter_config.json` says.

    Args:
      model: Of the base.
      adapter: With no `auto`.
      base: Folder of the base.
    """
    alpha = adapter.alpha
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": adapter.rank,
        "lora_alpha": int(alpha) if alpha == int(alpha) else alpha,
        "lora_dropout": adapter.dropout,
        "use_rslora": adapter.rslora,
        "target_modules": target_modules(model, adapter),
        "modules_to_save": saved_modules(model, adapter) or None,
        "trainable_token_indices": {
            module.rpartition(".")[2]: adapter.tokens
            for module in token_modules(model, adapter).values()
        }
        or None,
        "fan_in_fan_out": FAMILIES[model.family].FAN_IN_FAN_OUT,
        "bias": "none",
        "init_lora_weights": True,
        "inference_mode": True,
    }


def read_peft_config(folder: Path, model: ModelSection) -> dict[str, Any]:
    """Reads `adapter_config.json`: values of the section `adapter`.

    Args:
      folder: Of PEFT's form.
      model: Of the base.

    Raises:
      ValueError: It asks for what is not there; each such key is named.
      OSError: It is missing.
    """
    described = Described(folder / FILE)
    described.only("peft_type", "LORA")
    family = FAMILIES[model.family]
    for name, allowed in _ABSENT:
        described.only(name, allowed)
    described.only("init_lora_weights", True, False, "gaussian")
    # A Conv1D counts as such whatever the file says: PEFT sets it then.
    if not family.FAN_IN_FAN_OUT:
        described.only("fan_in_fan_out", False)
    described.without_effect(f"{_NOTES} fan_in_fan_out")
    found = {
        "rank": described.get("r"),
        "alpha": described.get("lora_alpha"),
        "dropout": described.get("lora_dropout", 0.0),
        "rslora": described.get("use_rslora", False),
        "targets": _targets(described, family),
        "modules_to_save": _saved(described, family),
    }
    if tokens := _tokens(described, family, model, found["modules_to_save"]):
        found["tokens"] = tokens
    described.finish()
    for name in ("alpha", "dropout"):
        if isinstance(found[name], int):
            found[name] = float(found[name])
    return found


def _targets(described: Described, family: Any) -> list[str] | None:
    """Which projections are meant; None where a pattern says it."""
    said = described.get("target_modules")
    if isinstance(said, str):
        return None
    found = []
    for name in _names(described, "target_modules", said):
        own = _meant(name, family.ADAPTED)
        if not own:
            described.problem(
                f"target_modules has {json.dumps(name)}, which is none of "
                f"{', '.join(family.ADAPTED.values())}"
            )
        found += [one.rpartition(".")[2] for one in own]
    known = [own.rpartition(".")[2] for own in family.ADAPTED]
    return [name for name in known if name in found]


def _saved(described: Described, family: Any) -> list[str]:
    said = described.get("modules_to_save", [])
    found = []
    for name in _names(described, "modules_to_save", said):
        own = _meant(name, family.TABLES)
        if not own:
            known = (t.rpartition(".")[2] for t in family.TABLES.values())
            described.problem(
                f"modules_to_save has {json.dumps(name)}; it may have "
                + ", ".join(known)
            )
        found += [one for one in own if one not in found]
    return found


def _tokens(
    described: Described, family: Any, model: ModelSection, saved: list[str]
) -> list[int] | None:
    """Which rows of the tables that are not saved are trained."""
    key = "trainable_token_indices"
    said = described.get(key, None)
    if said is None:
        return None
    told = said
    if isinstance(said, list):  # of the embedding, and a head that is tied
        told = {family.TABLES["embedding"]: said}
    if not isinstance(told, dict):
        described.problem(f"{key}={json.dumps(said)} is no list of ids")
        return None
    lists = {}
    for name, ids in told.items():
        whole = isinstance(ids, list) and all(type(i) is int for i in ids)
        if not whole or ids != sorted(set(ids)) or min(ids, default=0) < 0:
            described.problem(
                f"{key}: {json.dumps(name)} has {json.dumps(ids)}, which is no "
                "list of ids in increasing order"
            )
            return None
        for own in _meant(name, family.TABLES):
            lists[own] = ids
    wanted = {"embedding"} if model.tie_embeddings else {"embedding", "head"}
    wanted -= set(saved)
    if model.tie_embeddings and lists.get("head") == lists.get("embedding"):
        lists.pop("head", None)  # the same rows
    if lists.keys() != wanted or len({tuple(i) for i in lists.values()}) != 1:
        names = ", ".join(family.TABLES[name] for name in sorted(wanted))
        described.problem(
            f"{key}={json.dumps(said)} is not there yet; it may be the same "
            f"ids of each of {names}"
        )
        return None
    return lists[min(wanted)]


def _names(described: Described, key: str, said: Any) -> list[str]:
    """Returns a list of names, or none and says that it is no such list."""
    if isinstance(said, list) and all(isinstance(n, str) for n in said):
        return said
    if said is not None:
        described.problem(f"{key}={json.dumps(said)} is no list of names")
    return []


def _meant(name: str, modules: dict[str, str]) -> list[str]:
    """Ours whose names of theirs end so, by PEFT's rule."""
    return [
        own
        for own, theirs in modules.items()
        if theirs == name or theirs.endswith(f".{name}")
    ]
