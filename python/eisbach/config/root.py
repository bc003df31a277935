"""The whole configuration: its sections, and where each value is from."""

from __future__ import annotations

import contextlib
import copy
import functools
import re
from collections.abc import Iterator
from typing import Any

from pydantic import Field, PrivateAttr

from eisbach.config.adapter import AdapterSection
from eisbach.config.checkpoint import CheckpointSection
from eisbach.config.data import DataSection
from eisbach.config.dpo import DpoSection
from eisbach.config.fault import FaultSection
from eisbach.config.model import ModelSection
from eisbach.config.network import NetworkSection
from eisbach.config.optimizer import OptimizerSection
from eisbach.config.parallel import ParallelSection
from eisbach.config.precision import PrecisionSection
from eisbach.config.rules import show
from eisbach.config.run import RunSection
from eisbach.config.section import Section, schema_of
from eisbach.config.train import TrainSection

_KEY = r"[a-z]+\.[a-z0-9_]+"
_INSIDE = r"(?:\.[a-z0-9_]+|\[\d+\])*"  # of the value of a key


class Config(Section):
    """Configuration of an Eisbach run."""

    run: RunSection = Field(default_factory=RunSection)
    model: ModelSection = Field(default_factory=ModelSection)
    adapter: AdapterSection = Field(default_factory=AdapterSection)
    data: DataSection = Field(default_factory=DataSection)
    train: TrainSection = Field(default_factory=TrainSection)
    dpo: DpoSection = Field(default_factory=DpoSection)
    checkpoint: CheckpointSection = Field(default_factory=CheckpointSection)
    optimizer: OptimizerSection = Field(default_factory=OptimizerSection)
    precision: PrecisionSection = Field(default_factory=PrecisionSection)
    parallel: ParallelSection = Field(default_factory=ParallelSection)
    network: NetworkSection = Field(default_factory=NetworkSection)
    fault: FaultSection = Field(default_factory=FaultSection)

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    def origin(self, key: str) -> str:
        """Returns where `section.key` is from.

        One of `default`, `file:line`, `command line`, `program`, or
        `derived: reason`.
        """
        return self._origins.get(key, "default")

    def with_origins(self, origins: dict[str, str]) -> Config:
        """Returns a copy whose keys are from `origins`, else `default`."""
        copy = self.model_copy()
        copy._origins = dict(origins)
        return copy

    def derive(self, key: str, value: Any, reason: str) -> Config:
        """Returns a copy with an `auto` replaced by what it stands for.

        Args:
          key: Dotted key, as in `model.kv_heads`.
          value: The value; it is not checked again.
          reason: What it follows from, as in `model.heads`.
        """
        section, name = key.split(".")
        changed = getattr(self, section).model_copy(update={name: value})
        copy = self.model_copy(update={section: changed})
        copy._origins = {**self._origins, key: f"derived: {reason}"}
        return copy

    def locate(self, message: str) -> str:
        """Puts the origin before a message that names its key.

        A message begins with its key, as in `data.train: x: no such file` or
        `model.vocab=100 is less than 256`, or ends with it, as in `tensor=3
        does not divide heads=8 (parallel.tensor)`, or has keys that are given
        in its midst; others are returned unchanged.
        """
        cause = message.partition("; nearest")[0]
        told = re.match(rf"({_KEY}){_INSIDE}:", message)
        first = re.match(rf"({_KEY})=", message)
        named = re.findall(rf"\(({_KEY}){_INSIDE}\)", message)
        given = [
            key
            for key in re.findall(rf"\b({_KEY})=", cause)
            if self.origin(key) != "default"
        ]
        if told and self._knows(told[1]):
            return f"{self.origin(told[1])}: {message}"
        if first and first[1] in given:
            given.remove(first[1])
            named.insert(0, first[1])
        for key in filter(self._knows, (*named, *given)):
            return f"{self.origin(key)}: {key}: {message}"
        return message

    def _knows(self, key: str) -> bool:
        section, name = key.split(".")
        return name in type(getattr(self, section, self)).model_fields

    @contextlib.contextmanager
    def located(self) -> Iterator[None]:
        """Says in an error of the core inside where its key is from."""
        try:
            yield
        except ValueError as error:
            message = self.locate(str(error))
            if message == str(error):
                raise
            raise ValueError(message) from error

    def as_yaml(self) -> str:
        """Spells every key as YAML, with its origin as a comment."""
        lines = []
        for section, keys in self.model_dump().items():
            lines.append(f"{section}:")
            texts = {name: f"  {name}: {show(v)}" for name, v in keys.items()}
            items = {name: self._items(section, name) for name in keys}
            for name, lists in items.items():
                if lists:
                    texts[name] = f"  {name}:"
            width = min(48, max(map(len, texts.values())))
            for name, text in texts.items():
                origin = self.origin(f"{section}.{name}")
                lines.append(f"{text:<{width}}  # {origin}")
                lines += [f"    - {show(item)}" for item in items[name]]
        return "\n".join(lines) + "\n"

    def _items(self, section: str, name: str) -> list[dict[str, Any]]:
        """Returns what is set in each section of a list of sections."""
        value = getattr(getattr(self, section), name)
        if not isinstance(value, list):
            return []
        return [
            item.model_dump(exclude_defaults=True)
            for item in value
            if isinstance(item, Section)
        ]


@functools.cache
def schema() -> dict[str, Any]:
    """Returns the JSON schema of all sections."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {**schema_of(Config), "$schema": dialect}


def file_schema() -> dict[str, Any]:
    """Returns the JSON schema of a configuration file, for editors."""
    result = copy.deepcopy(schema())
    result["properties"]["base"] = {
        "type": "string",
        "minLength": 1,
        "description": "File that this one builds on, seen from its folder.",
    }
    result["patternProperties"] = {
        "^x-": {"description": "A place for anchors; else ignored."}
    }
    return result
