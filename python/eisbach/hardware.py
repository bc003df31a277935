"""Descriptions of machines, which `eisbach plan` reckons with."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError

from eisbach.config.errors import ConfigError, Problem
from eisbach.config.file import read_file
from eisbach.config.section import Count, NonNegative, Positive, Section, Text
from eisbach.config.tree import dotted

if TYPE_CHECKING:
    from eisbach import _C

Share = Annotated[float, Field(gt=0, le=1)]

_GIGA = 1e9
_TERA = 1e12
_MICRO = 1e-6
_PICO = 1e-12

# What `eisbach plan --calibrate` makes.
THIS_MACHINE = "this-machine"


class Tflops(Section):
    """Of dense matrix products by the type of their operands; 0: none."""

    f32: Positive
    f16: NonNegative = 0.0
    f8: NonNegative = 0.0
    f4: NonNegative = 0.0


class Chip(Section):
    """What one device has."""

    memory_gb: Positive
    memory_gb_per_s: Positive
    tflops: Tflops
    source: Text


class HalfSizes(Section):
    """Sizes of a product at which it takes twice its arithmetic."""

    half_rows: NonNegative = 0.0
    half_columns: NonNegative = 0.0
    half_inner: NonNegative = 0.0


class Matmul(HalfSizes):
    """How matrix products reach their rate, see csrc/plan/op_seconds.h.

    Attributes:
      f16: Half sizes of 16-bit products; None takes those of the section.
    """

    fraction: Share
    units: Annotated[int, Field(ge=0)] = 0
    tile_rows: Count = 256
    tile_columns: Count = 128
    f16: HalfSizes | None = None
    source: Text


class Speed(Section):
    """What an op takes: of a call, and of each FLOP, byte and row.

    `ps_per_row` is of attention, for each FLOP by the size of a head.
    """

    call_us: NonNegative = 0.0
    ps_per_flop: NonNegative = 0.0
    ps_per_byte: NonNegative = 0.0
    ps_per_row: NonNegative = 0.0


class CollectiveSpeed(Section):
    """What a collective inside a domain reaches.

    `staged_gb_per_s` is of tensors that the other ranks do not reach.
    """

    latency_us: NonNegative
    gb_per_s: Positive
    staged_gb_per_s: Positive


class Ops(Section):
    """How the other ops do; coefficients that were fitted.

    Attributes:
      shared_by_collectives: Of an op's rate, what collectives beside it take;
        1: they take turns.
      step_host_us: Of a step, in which the host reads the batch.
      speeds: Of ops that were measured, by their names; others move memory.
      speeds_f16: Of ops on 16-bit activations.
    """

    attention_forward: Share = 1.0
    attention_backward: Share = 1.0
    memory_fraction: Share = 1.0
    kernel_gap_us: NonNegative = 0.0
    host_launch_us: NonNegative = 0.0
    shared_by_collectives: Annotated[float, Field(ge=0, le=1)] = 0.0
    step_host_us: NonNegative = 0.0
    speeds: dict[str, Speed] = Field(default_factory=dict)
    speeds_f16: dict[str, Speed] = Field(default_factory=dict)
    source: Text


class Domain(Section):
    """Devices with quick links between them: a host, or a rack.

    Attributes:
      collectives: Those that were measured, by their names.
    """

    devices: Count
    gb_per_s: NonNegative = 0.0
    latency_us: NonNegative = 0.0
    fraction: Share = 1.0
    collectives: dict[str, CollectiveSpeed] = Field(default_factory=dict)
    source: Text


class Network(Section):
    """What is between domains; bandwidth is one device's, one way."""

    gb_per_s: Positive
    latency_us: NonNegative = 0.0
    fraction: Share = 1.0
    source: Text


class Power(Section):
    """Of a device with its share of the host and of switches and fans."""

    idle_watts: NonNegative
    busy_watts: NonNegative
    site_factor: Annotated[float, Field(ge=1)] = 1.0
    source: Text


class Failures(Section):
    """Hours of one device between failures that end a job; 0: unknown."""

    hours_between: NonNegative = 0.0
    source: Text


class Accuracy(Section):
    """How far forecasts were from measured steps, as shares of these.

    Of half of the steps it was less than `median`, of nine in ten less than
    `p90`. Of `cases` steps on such machines that played no part in the fit of
    coefficients; 0: there are none, and the errors are those on others.
    """

    median: Annotated[float, Field(ge=0, lt=1)]
    p90: Annotated[float, Field(ge=0, lt=1)]
    cases: Annotated[int, Field(ge=0)]
    source: Text


class HardwareFile(Section):
    """A file of `configs/hardware`.

    Attributes:
      threads: Of a rank on a CPU, whose cores then are one device.
    """

    name: Text
    device: Literal["cuda", "cpu"] = "cuda"
    threads: Count = 1
    chip: Chip
    matmul: Matmul
    ops: Ops
    domain: Domain
    network: Network
    power: Power
    failures: Failures
    accuracy: Accuracy | None = None


def folder() -> Path:
    """Where the files are that come with the package."""
    return Path(__file__).parent / "hardware_files"


def own_folder() -> Path:
    """Where this user's are: of machines that were measured."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "eisbach" / "hardware"


def machine_name(threads: int) -> str:
    """What this machine is called with ranks of so many threads."""
    return THIS_MACHINE if threads == 1 else f"{THIS_MACHINE}-{threads}-threads"


def known() -> list[str]:
    """The names of the files of the package."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def path_of(name: str) -> Path | None:
    """The file of a name, of the package's before this user's; None: none."""
    for place in (folder(), own_folder()):
        path = place / f"{name}.yaml"
        if path.is_file():
            return path
    return None


def machine_of(file: HardwareFile) -> _C.Hardware:
    """Returns what the core reckons with."""
    from eisbach import _C

    chip, matmul, ops = file.chip, file.matmul, file.ops
    domain, network = file.domain, file.network
    return _C.Hardware(
        name=file.name,
        device=file.device,
        peak=_C.PeakRates(
            **{
                kind: rate * _TERA
                for kind, rate in chip.tflops.model_dump().items()
            }
        ),
        memory_bytes=chip.memory_gb * _GIGA,
        memory_bandwidth=chip.memory_gb_per_s * _GIGA,
        matmul_fraction=matmul.fraction,
        units=matmul.units,
        tile_rows=matmul.tile_rows,
        tile_columns=matmul.tile_columns,
        half=_half_sizes(matmul),
        half_f16=_half_sizes(matmul.f16 or matmul),
        attention_forward=ops.attention_forward,
        attention_backward=ops.attention_backward,
        memory_fraction=ops.memory_fraction,
        kernel_gap=ops.kernel_gap_us * _MICRO,
        host_launch=ops.host_launch_us * _MICRO,
        shared_by_collectives=ops.shared_by_collectives,
        speeds=_speeds(ops.speeds),
        speeds_f16=_speeds(ops.speeds_f16),
        collectives={
            call: _C.CollectiveSpeed(
                latency=speed.latency_us * _MICRO,
                bandwidth=speed.gb_per_s * _GIGA,
                staged_bandwidth=speed.staged_gb_per_s * _GIGA,
            )
            for call, speed in domain.collectives.items()
        },
        step_host=ops.step_host_us * _MICRO,
        domain=_C.Link(
            devices=domain.devices,
            bandwidth=domain.gb_per_s * _GIGA,
            latency=domain.latency_us * _MICRO,
            fraction=domain.fraction,
        ),
        network=_C.Link(
            bandwidth=network.gb_per_s * _GIGA,
            latency=network.latency_us * _MICRO,
            fraction=network.fraction,
        ),
        idle_watts=file.power.idle_watts,
        busy_watts=file.power.busy_watts,
        site_factor=file.power.site_factor,
        hours_between_failures=file.failures.hours_between,
        accuracy=_accuracy_of(file.accuracy),
    )


def _accuracy_of(figures: Accuracy | None) -> _C.Accuracy | None:
    from eisbach import _C

    if figures is None:
        return None
    return _C.Accuracy(
        median=figures.median, p90=figures.p90, cases=figures.cases
    )


def _half_sizes(sizes: HalfSizes) -> _C.HalfSizes:
    from eisbach import _C

    return _C.HalfSizes(
        rows=sizes.half_rows,
        columns=sizes.half_columns,
        inner=sizes.half_inner,
    )


def _speeds(speeds: dict[str, Speed]) -> dict[str, _C.OpSpeed]:
    from eisbach import _C

    return {
        op: _C.OpSpeed(
            call=speed.call_us * _MICRO,
            flop=speed.ps_per_flop * _PICO,
            byte=speed.ps_per_byte * _PICO,
            row=speed.ps_per_row * _PICO,
        )
        for op, speed in speeds.items()
    }


def changed(file: HardwareFile, values: dict[str, float]) -> HardwareFile:
    """Returns a description with other values of keys like `ops.kernel_gap_us`.

    Args:
      file: The description.
      values: By section and key; nothing is checked.
    """
    for name, value in values.items():
        section, _, key = name.partition(".")
        part = getattr(file, section).model_copy(update={key: value})
        file = file.model_copy(update={section: part})
    return file


def _unknown(name: str) -> str:
    if name.startswith(THIS_MACHINE):
        return "was not measured yet; `eisbach plan --calibrate` does so"
    names = known() + sorted(path.stem for path in own_folder().glob("*.yaml"))
    near = [k for k in names if k.startswith(name)]
    near += difflib.get_close_matches(name, names, 1, 0.3)
    offer = f"; did you mean {near[0]}?" if near else "."
    return (
        f"there is no machine of that name{offer} Known are "
        f"{', '.join(names)}, and files by their path"
    )


def read_hardware(name: str, *, asked_by: str = "--hardware") -> HardwareFile:
    """Reads the description of a machine.

    Args:
      name: One of `known()`, of `own_folder()`, or the path of a file.
      asked_by: The option or key that names it.

    Raises:
      ConfigError: There is none, or it is not right.
    """
    path = Path(name)
    if path.suffix != ".yaml" and not path.exists():
        found = path_of(name)
        if not found:
            raise ConfigError([Problem(name, asked_by, _unknown(name))])
        path = found
    tree = read_file(str(path))
    try:
        return HardwareFile.model_validate(tree.values)
    except ValidationError as error:
        problems = [
            Problem(tree.origin(item["loc"]), dotted(item["loc"]), item["msg"])
            for item in error.errors(include_url=False, include_context=False)
        ]
        raise ConfigError(problems) from None
