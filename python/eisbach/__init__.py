"""Eisbach: distributed training of transformer models.

Names are imported when they are first used, so that `import eisbach` is
quick and a command that only prints help loads nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# UCX, which MPI loads, would take SIGHUP for a wish to debug. It reads this
# when it is loaded.
os.environ.setdefault("UCX_DEBUG_SIGNO", "0")

# libgomp, too. Threads that wait for their team spin for some ten milliseconds
# by default: on cores that others want they keep those from running whom they
# wait for, hundreds of times a step. So many turns are enough for the waits of
# a team that has its cores for itself.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

if TYPE_CHECKING:
    from eisbach import export, nn
    from eisbach._C import (
        Batch,
        Communicator,
        Corpus,
        DataLoader,
        Decoder,
        Device,
        Engine,
        EngineConfig,
        Graph,
        Mesh,
        ModelConfig,
        NonFiniteError,
        OptimizerConfig,
        ParallelContext,
        Parameter,
        ScheduleConfig,
        SpikeConfig,
        StepResult,
        Tensor,
        TokenFile,
        TokenFileWriter,
        Update,
        UpdateConfig,
        World,
        build_info,
        functional,
        read_safetensors,
        sim_world,
        write_safetensors,
    )
    from eisbach.config import (
        Config,
        ConfigError,
        load_config,
        make_config,
        resolve,
    )
    from eisbach.core_config import engine_config, make_mesh, update_config
    from eisbach.training import train
    from eisbach.world import init

_NAMES = {
    "eisbach._C": (
        "Batch Communicator Corpus DataLoader Decoder Device Engine "
        "EngineConfig Graph Mesh ModelConfig NonFiniteError OptimizerConfig "
        "ParallelContext Parameter ScheduleConfig SpikeConfig StepResult "
        "Tensor TokenFile TokenFileWriter Update UpdateConfig World build_info "
        "functional read_safetensors sim_world write_safetensors"
    ),
    "eisbach.config": "Config ConfigError load_config make_config resolve",
    "eisbach.core_config": "engine_config make_mesh update_config",
    "eisbach.training": "train",
    "eisbach.world": "init",
}
_MODULES = ("export", "nn")
_HOME = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = [
    "Batch",
    "Communicator",
    "Config",
    "ConfigError",
    "Corpus",
    "DataLoader",
    "Decoder",
    "Device",
    "Engine",
    "EngineConfig",
    "Graph",
    "Mesh",
    "ModelConfig",
    "NonFiniteError",
    "OptimizerConfig",
    "ParallelContext",
    "Parameter",
    "ScheduleConfig",
    "SpikeConfig",
    "StepResult",
    "Tensor",
    "TokenFile",
    "TokenFileWriter",
    "Update",
    "UpdateConfig",
    "World",
    "build_info",
    "engine_config",
    "export",
    "functional",
    "init",
    "load_config",
    "make_config",
    "make_mesh",
    "nn",
    "read_safetensors",
    "resolve",
    "sim_world",
    "train",
    "update_config",
    "write_safetensors",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("eisbach")
    if name in _MODULES:
        return importlib.import_module(f"eisbach.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'eisbach' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
