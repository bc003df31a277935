"""Descriptions of machines, which `eisbach plan` reckons with."""

from __future__ import annotations

import difflib
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


class Matmul(Section):
    """How matrix products reach their rate, see csrc/plan/op_seconds.h."""

    fraction: Share
    units: Annotated[int, Field(ge=0)] = 0
    tile_rows: Count = 256
    tile_columns: Count = 128
    half_inner: NonNegative = 0.0
    source: Text


class Ops(Section):
    """How the other ops do; coefficients that were fitted."""

    attention_forward: Share = 1.0
    attention_backward: Share = 1.0
    memory_fraction: Share = 1.0
    kernel_gap_us: NonNegative = 0.0
    host_launch_us: NonNegative = 0.0
    shared_by_collectives: Annotated[float, Field(ge=0, lt=1)] = 0.0
    source: Text


class Domain(Section):
    """Devices with quick links between them: a host, or a rack."""

    devices: Count
    gb_per_s: NonNegative = 0.0
    latency_us: NonNegative = 0.0
    fraction: Share = 1.0
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
    """A file of `configs/hardware`."""

    name: Text
    device: Literal["cuda", "cpu"] = "cuda"
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


def known() -> list[str]:
    """The names of those files."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def machine_of(file: HardwareFile) -> _C.Hardware:
    """Returns what the core reckons with."""
    from eisbach import _C

    chip, matmul, ops = file.chip, file.matmul, file.ops
    domain, network = file.domain, file.network
    return _C.Hardware(
        name=file.name,
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
        half_inner=matmul.half_inner,
        attention_forward=ops.attention_forward,
        attention_backward=ops.attention_backward,
        memory_fraction=ops.memory_fraction,
        kernel_gap=ops.kernel_gap_us * _MICRO,
        host_launch=ops.host_launch_us * _MICRO,
        shared_by_collectives=ops.shared_by_collectives,
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


def read_hardware(name: str) -> HardwareFile:
    """Reads the description of a machine.

    Args:
      name: One of `known()`, or the path of a file.

    Raises:
      ConfigError: There is none, or it is not right.
    """
    path = Path(name)
    if path.suffix != ".yaml" and not path.exists():
        path = folder() / f"{name}.yaml"
        if not path.exists():
            near = [k for k in known() if k.startswith(name)]
            near += difflib.get_close_matches(name, known(), 1, 0.3)
            offer = f"; did you mean {near[0]}?" if near else "."
            message = (
                f"there is no machine of that name{offer} Known are "
                f"{', '.join(known())}, and files by their path"
            )
            raise ConfigError([Problem(name, "--hardware", message)])
    tree = read_file(str(path))
    try:
        return HardwareFile.model_validate(tree.values)
    except ValidationError as error:
        problems = [
            Problem(tree.origin(item["loc"]), dotted(item["loc"]), item["msg"])
            for item in error.errors(include_url=False, include_context=False)
        ]
        raise ConfigError(problems) from None
