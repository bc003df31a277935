"""`eisbach plan --calibrate`: this machine, measured and described."""

from __future__ import annotations

import io
import os
import platform
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.config import load_config, resolve
from eisbach.core_config import engine_config
from eisbach.files import make_folder, write_atomically
from eisbach.fitting import count
from eisbach.hardware import HardwareFile, machine_name, own_folder
from eisbach.run.process import launched
from eisbach.world import init

if TYPE_CHECKING:
    from eisbach import _C

# Whose steps are measured, in each type: among them every op of usual models,
# with sizes from a few kilobytes to more than caches hold.
_MODELS = (
    "gpt layers=2 hidden=64 heads=4 context=64 vocab=256 batch=2 dropout=0.1",
    "llama layers=2 hidden=64 heads=2 context=64 vocab=256 batch=2",
    "gpt layers=2 hidden=256 heads=4 context=256 vocab=512 batch=4 dropout=0.1",
    "gpt layers=1 hidden=768 heads=12 context=256 vocab=16384 batch=2",
    "llama layers=2 hidden=384 heads=6 context=512 vocab=2048 batch=2",
    "llama layers=1 hidden=512 heads=8 context=1024 vocab=8192 batch=1",
    "qwen3 layers=2 hidden=128 heads=4 context=128 vocab=256 batch=8",
)
_DTYPES = ("f32", "bf16")
# By how much a quarter of the steps may be slower where nothing else runs.
_QUIET = 0.1
_ROOT = dict.fromkeys(
    ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"), "1"
)


def default_path(threads: int) -> Path:
    """Where the description goes unless another path is given."""
    return own_folder() / f"{machine_name(threads)}.yaml"


def calibrate(path: Path, *, threads: int = 1) -> None:
    """Measures this host with ranks on all its cores, and describes it.

    Where `mpirun` did not start this process, it starts the ranks.

    Args:
      path: The description; replaced if it exists.
      threads: Of each rank.

    Raises:
      ValueError: It was started on several hosts, or a rank failed.
      OSError: The file cannot be written.
    """
    make_folder(path.absolute().parent)
    ranks = max(1, len(os.sched_getaffinity(0)) // threads)
    mpirun = shutil.which("mpirun")
    if launched() or ranks == 1 or not mpirun:
        _measure(path, threads)
        return
    done = subprocess.run(
        [
            mpirun, "-n", str(ranks), sys.executable, "-m", "eisbach", "plan",
            "--calibrate", "--threads", str(threads), "--output", str(path),
        ],
        stdin=subprocess.DEVNULL,
        env={**os.environ, **_ROOT},
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise ValueError(
            f"--calibrate: measuring on {ranks} ranks ended with status "
            f"{done.returncode}"
        )


def _measure(path: Path, threads: int) -> None:
    from eisbach import _C

    world = init(device="cpu", threads=threads)
    locations = _C.gather_locations(world)
    if len({at.host for at in locations}) > 1:
        raise ValueError(
            "--calibrate measures one host, and mpirun started ranks on "
            "several; start it without mpirun"
        )
    say = print if world.rank == 0 else _nothing
    say(
        f"measuring with {count(world.size, 'rank')} of "
        f"{count(threads, 'thread')}, which takes a minute or two; "
        "let nothing else run",
        flush=True,
    )
    machine = measure(
        world,
        # Of it plans give tensors a share, here all that a rank may have.
        memory=min(at.memory for at in locations)
        / _C.SearchOptions(world.size).memory_share,
        say=lambda line: say(line, flush=True),
        models=_MODELS,
    )
    if world.rank == 0:
        file = describe(machine, threads=threads, processor=locations[0].device)
        write_atomically(path.absolute(), spell(file))
        name = file.name if path == default_path(threads) else path
        say(f"wrote {path}; `--hardware {name}` plans for it")
    world.barrier()


def _nothing(*_: object, **__: object) -> None:
    pass


def measure(
    world: _C.World,
    *,
    memory: float,
    say: Callable[[str], None],
    models: tuple[str, ...],
) -> _C.Hardware:
    """Measures ops and collectives on all ranks at once; collective.

    Args:
      world: All ranks of one host.
      memory: Bytes of each.
      say: Is told how far it is.
      models: Whose steps are measured.
    """
    from eisbach import _C

    steps = []
    for dtype in _DTYPES:
        for i, model in enumerate(models, 1):
            say(f"ops in {dtype}, {i} of {len(models)}: {model}")
            config = engine_config(
                resolve(load_config(None, _keys(model, dtype)))
            )
            steps.append(_C.measure_step(world, config))
    spread = statistics.median(step.spread for step in steps)
    if spread > _QUIET:
        say(
            "a quarter of the steps that should take as long take "
            f"{spread:.0%} longer: something else runs here; measure again "
            "when it does not"
        )
    say("copies and collectives")
    machine = _C.fit_hardware(
        machine_name(_C.threads()),
        steps=steps,
        moves=_C.measure_moves(world),
        collectives=_C.measure_collectives(world),
        ranks=world.size,
        memory_bytes=memory,
    )
    if len(models) > 1 and not machine.accuracy.cases:
        say(
            "what steps of one model take does not follow from those of the "
            "others, so plans have no range; measure again when nothing else "
            "runs here"
        )
    return machine


def _keys(model: str, dtype: str) -> list[str]:
    family, *sizes = model.split()
    keys = [f"model.family={family}", f"precision.compute={dtype}"]
    keys += ["run.device=cpu", "train.steps=100"]
    for size in sizes:
        if size.startswith("batch="):
            keys += [f"train.micro_{size}", f"train.global_{size}"]
        else:
            keys.append(f"model.{size}")
    return keys


def describe(
    machine: _C.Hardware, *, threads: int, processor: str
) -> HardwareFile:
    """Returns what a hardware file says of a machine that was measured."""
    host = f"{platform.node()}, {processor}, {date.today()}"
    source = f"measured by eisbach plan --calibrate on {host}"

    def speeds(found: dict[str, _C.OpSpeed]) -> dict[str, dict[str, float]]:
        return {
            op: _nonzero(
                call_us=speed.call * 1e6,
                ps_per_flop=speed.flop * 1e12,
                ps_per_byte=speed.byte * 1e12,
                ps_per_row=speed.row * 1e12,
            )
            for op, speed in found.items()
        }

    def half(sizes: _C.HalfSizes) -> dict[str, float]:
        return _nonzero(
            half_rows=sizes.rows,
            half_columns=sizes.columns,
            half_inner=sizes.inner,
        )

    def accuracy() -> dict[str, Any]:
        found = machine.accuracy
        if not found.cases:
            return {}
        return {
            "accuracy": {
                "median": _round(found.median),
                "p90": _round(found.p90),
                "cases": found.cases,
                "source": (
                    "steps of the models of eisbach plan --calibrate, on one "
                    "rank, each foretold from what all other models took on "
                    f"{host}"
                ),
            }
        }

    return HardwareFile.model_validate(
        {
            "name": machine.name,
            "device": "cpu",
            "threads": threads,
            "chip": {
                "memory_gb": _round(machine.memory_bytes / 1e9),
                "memory_gb_per_s": _round(machine.memory_bandwidth / 1e9),
                "tflops": {
                    "f32": _round(machine.peak.f32 / 1e12),
                    "f16": _round(machine.peak.f16 / 1e12),
                },
                "source": source,
            },
            "matmul": {
                "fraction": 1.0,
                **half(machine.half),
                "f16": half(machine.half_f16),
                "source": source,
            },
            "ops": {
                "shared_by_collectives": 1.0,
                "step_host_us": _round(machine.step_host * 1e6),
                "speeds": speeds(machine.speeds),
                "speeds_f16": speeds(machine.speeds_f16),
                "source": source,
            },
            "domain": {
                "devices": machine.domain.devices,
                "gb_per_s": _round(machine.domain.bandwidth / 1e9),
                "latency_us": _round(machine.domain.latency * 1e6),
                "collectives": {
                    name: {
                        "latency_us": _round(speed.latency * 1e6),
                        "gb_per_s": _round(speed.bandwidth / 1e9),
                        "staged_gb_per_s": _round(speed.staged_bandwidth / 1e9),
                    }
                    for name, speed in machine.collectives.items()
                },
                "source": source,
            },
            "network": {
                "gb_per_s": _round(machine.domain.bandwidth / 1e9),
                "latency_us": _round(machine.domain.latency * 1e6),
                "source": "none was measured: as inside the host",
            },
            "power": {
                "idle_watts": 0.0,
                "busy_watts": 0.0,
                "source": "not measured",
            },
            "failures": {"hours_between": 0.0, "source": "not known"},
            **accuracy(),
        }
    )


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def _nonzero(**values: float) -> dict[str, float]:
    return {name: _round(value) for name, value in values.items() if value}


def spell(file: HardwareFile) -> str:
    """Spells a description as YAML."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None  # mappings of numbers on a line
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 88
    text = io.StringIO()
    yaml.dump(file.model_dump(exclude_none=True, exclude_defaults=True), text)
    return f"# {file.name}\n{text.getvalue()}"
