"""Makes a plan: asks the core for layouts and for what is near them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from eisbach.config import Config
from eisbach.config.tree import COMMAND_LINE
from eisbach.core_config import complete, engine_config
from eisbach.hardware import HardwareFile, changed, machine_of

if TYPE_CHECKING:
    from eisbach import _C

# What a search chooses, by the names of the core, and the keys of each.
CHOSEN = {
    "data": "parallel.data",
    "tensor": "parallel.tensor",
    "pipeline": "parallel.pipeline",
    "context": "parallel.context",
    "schedule": "parallel.schedule",
    "chunks": "parallel.chunks",
    "zero": "parallel.zero",
    "micro_batch": "train.micro_batch",
    "recompute": "train.recompute",
    "recompute_layers": "train.recompute_layers",
}
# Layouts whose memory is told by kinds: the best and its runners-up.
IN_DETAIL = 5


@dataclass(frozen=True)
class ExpertTerms:
    """Layers of experts in place of each MLP.

    Attributes:
      count: Of a layer.
      per_token: That a token goes through.
      hidden: Width of one; None: that of the MLP.
      shared_hidden: Width of what every token goes through beside them.
      parallel: Ranks that divide a layer's experts; None: the search chooses.
    """

    count: int
    per_token: int
    hidden: int | None = None
    shared_hidden: int = 0
    parallel: int | None = None


@dataclass(frozen=True)
class Terms:
    """What a plan is asked for beside a job and a machine.

    Attributes:
      products: In what linear layers multiply: `as_is`, `f8`, `f4`.
      experts: None: the model is dense.
      by: What is least for the best: `time`, `cost`, `energy`.
      grid: kg of CO2 for a kWh.
      price: EUR for an hour of a device; None: nobody asks.
      power_cap: MW that the site may draw.
      deadline: Hours in which the run has to end.
      mtbf: Hours of one device between failures, in place of the machine's.
      restart: Seconds from a fault to the first step after it.
      save_stall: Seconds that training stands still for a checkpoint.
    """

    products: str = "as_is"
    experts: ExpertTerms | None = None
    by: str = "time"
    grid: float = 0.0
    price: float | None = None
    power_cap: float | None = None
    deadline: float | None = None
    mtbf: float | None = None
    restart: float = 300.0
    save_stall: float = 1.0


@dataclass(frozen=True)
class Plan:
    """Layouts of a job on a machine.

    Attributes:
      config: Complete, but for what is chosen.
      engine: What the core makes an Engine of; its layout is not one of those.
        Of experts, what is dense in their place.
      experts: What is in the place of its MLPs.
      machine: What it runs on.
      file: What the machine was read from.
      devices: How many there are.
      terms: What was asked for.
      conditions: Those of the whole run.
      options: Those of the search.
      found: What the search has found.
      uncapped: What it finds without the power cap; None: that limits nothing.
    """

    config: Config
    engine: _C.EngineConfig
    experts: _C.Experts
    machine: _C.Hardware
    file: HardwareFile
    devices: int
    terms: Terms
    conditions: _C.RunConditions
    options: _C.SearchOptions
    found: _C.SearchResult
    uncapped: _C.SearchResult | None = None

    @property
    def fed(self) -> int | None:
        """How many devices the site feeds; None: it is not limited."""
        from eisbach import _C

        if self.terms.power_cap is None:
            return None
        return _C.devices_of(self.terms.power_cap * 1e6, self.machine)

    @cached_property
    def size(self) -> _C.ModelSize:
        """Of the model with its experts."""
        return self.experts.size(self.engine.model)

    @property
    def best(self) -> _C.Candidate:
        """The first that fits."""
        return self.found.fitting[0]

    def on(self, devices: int) -> _C.Candidate | None:
        """The best layouts divided anew among another number of devices.

        Raises:
          ValueError: What is given leaves no layout of so few; it says why.
        """
        from eisbach import _C

        return _C.best_on(
            self.engine, self.machine, self.options, self.found, devices
        )

    def fewest(self) -> _C.Candidate:
        """The same on as few devices as are in time."""
        from eisbach import _C

        return _C.fewest_devices(
            self.engine, self.machine, self.options, self.found
        )

    @cached_property
    def misfit(self) -> _C.Misfit:
        """What takes the least memory, and what would fit: where nothing does.

        Takes as long as some searches.
        """
        from eisbach import _C

        return _C.what_fits(self.engine, self.machine, self.options)

    def memory_of(self, candidate: _C.Candidate) -> _C.RankMemory:
        """What its fullest device holds, by kinds."""
        from eisbach import _C

        return _C.layout_memory(
            self.engine, candidate, self.machine, self.experts
        )

    @cached_property
    def memory(self) -> list[_C.RankMemory]:
        """That of the first `IN_DETAIL` layouts."""
        return [
            self.memory_of(candidate)
            for candidate in self.found.fitting[:IN_DETAIL]
        ]

    @cached_property
    def timeline(self) -> _C.Timeline:
        """When things happen in a step of the best."""
        from eisbach import _C

        return _C.make_timeline(
            self.engine, self.best.layout, self.machine, self.options
        )


def make_plan(
    config: Config,
    file: HardwareFile,
    devices: int,
    *,
    terms: Terms | None = None,
    progress: Callable[[int, _C.Candidate | None], None] | None = None,
) -> Plan:
    """Searches layouts of a configuration.

    Args:
      config: Resolved, with the keys of `CHOSEN` free. What the command line
        gives of them stays.
      file: The machine.
      devices: How many of its devices there are.
      terms: What else is asked for.
      progress: Is told now and then how many layouts were tried, and which is
        the best so far.

    Raises:
      ValueError: No layout is valid on so many devices, or none keeps the
        deadline or the power cap; the message names the nearest that does.
    """
    from eisbach import _C

    terms = terms or Terms()
    if terms.mtbf is not None:
        file = changed(file, {"failures.hours_between": terms.mtbf})
    if config.run.device == "auto":
        config = config.derive("run.device", file.device, f"on {file.name}")
    config = complete(config)
    engine = engine_config(config)
    experts = _experts(terms.experts, engine)
    engine = experts.dense(engine)
    machine = machine_of(file)
    conditions = _C.RunConditions(
        steps=config.train.steps,
        save_stall=terms.save_stall,
        restart=terms.restart,
        grid=terms.grid,
    )
    fixed = {
        name: value_of(config, key)
        for name, key in CHOSEN.items()
        if config.origin(key) == COMMAND_LINE
    }
    options = _C.SearchOptions(
        devices,
        products=terms.products,
        experts=experts,
        expert=terms.experts.parallel if terms.experts else None,
        replayed=config.run.cuda_graphs and file.device == "cuda",
        by=terms.by,
        run=conditions,
        most_hours=terms.deadline or 0.0,
        **{name: value for name, value in fixed.items() if value != "auto"},
    )
    watts = None if terms.power_cap is None else terms.power_cap * 1e6
    found = _C.search_layouts(
        engine, machine, options, watts=watts, progress=progress
    )
    uncapped = None
    limits = watts is not None and _C.devices_of(watts, machine) < devices
    if limits and found.fitting:
        uncapped = _C.search_layouts(
            engine, machine, options, progress=progress
        )
    return Plan(
        config=config,
        engine=engine,
        experts=experts,
        machine=machine,
        file=file,
        devices=devices,
        terms=terms,
        conditions=conditions,
        options=options,
        found=found,
        uncapped=uncapped,
    )


def _experts(asked: ExpertTerms | None, engine: _C.EngineConfig) -> _C.Experts:
    from eisbach import _C

    if asked is None:
        return _C.Experts()
    width = engine.model.ffn_hidden if asked.hidden is None else asked.hidden
    return _C.Experts(
        asked.count,
        per_token=asked.per_token,
        hidden=width,
        shared_hidden=asked.shared_hidden,
    )


def value_of(config: Config, key: str) -> Any:
    """Returns the value of `section.key`."""
    section, name = key.split(".")
    return getattr(getattr(config, section), name)
