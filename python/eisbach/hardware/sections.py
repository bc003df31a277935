"""What a file of `configs/hardware` may say: sections, keys and their ranges.

The ranges are far beyond any machine on both sides: what lies outside is a slip
of the unit, and what is computed from it would be nonsense.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from eisbach.config.section import SAID, Section, Text, key

# A size or a rate, in the unit of its key.
Amount = Annotated[float, Field(ge=1e-6, le=1e6)]
# Time, power and what else may be nothing.
Quantity = Annotated[float, Field(ge=0, le=1e9)]
Share = Annotated[float, Field(ge=1e-3, le=1)]
Error = Annotated[float, Field(ge=0, le=0.99)]
Natural = Annotated[int, Field(ge=0, le=10**6)]
Count = Annotated[int, Field(ge=1, le=10**6)]


def _said(text: str) -> PydanticCustomError:
    return PydanticCustomError(SAID, text)


def _at_least(other: str) -> AfterValidator:
    """What is not below another key of its section, declared before it."""

    def check(value: float, info: ValidationInfo) -> float:
        least = info.data.get(other, value)
        if value < least:
            raise _said(
                f"{value:.15g}: must be >= {other}, which is {least:.15g}; "
                f"nearest: {least:.15g}"
            )
        return value

    return AfterValidator(check)


def _or_none(value: float) -> float:
    """A rate of what a machine may not have."""
    least = 1e-6
    if 0 < value < least:
        raise _said(
            f"{value:.15g}: must be 0 or a number >= {least}; nearest: {least}"
        )
    return value


Rate = Annotated[float, Field(ge=0, le=1e6), AfterValidator(_or_none)]


class Tflops(Section):
    """Of dense matrix products by the type of their operands."""

    f32: Amount = key(..., "As training multiplies it there: TF32 on GPUs.")
    f16: Rate = key(0.0, "`f16` and `bf16`; 0: no quicker than `f32`.")
    f8: Rate = key(0.0, "0: it has none.")
    f4: Rate = key(0.0, "0: it has none.")


class Chip(Section):
    """What one device has."""

    memory_gb: Amount = key(..., "Its memory, in 10^9 bytes.")
    memory_gb_per_s: Amount = key(
        ..., "What that reads and writes in a second, in 10^9 bytes."
    )
    tflops: Tflops = key(
        ..., "10^12 operations/s of products at the rated clock, dense."
    )
    source: Text = key(..., "Where these figures are from.")


class HalfSizes(Section):
    """Sizes of a product at which it takes twice its arithmetic."""

    half_rows: Quantity = key(
        0.0, "Rows of a product at which it takes twice its arithmetic."
    )
    half_columns: Quantity = key(0.0, "The same of its columns.")
    half_inner: Quantity = key(0.0, "The same of what is summed.")


class Matmul(HalfSizes):
    """How matrix products reach their rate, see csrc/plan/op_seconds.h."""

    fraction: Share = key(..., "Of `chip.tflops`, what the largest reach.")
    units: Natural = key(
        0,
        "Tiles that are computed at a time: the multiprocessors of a GPU. 0, "
        "on a CPU alone: products are not cut into tiles.",
    )
    tile_rows: Count = key(256, "Rows of a tile.")
    tile_columns: Count = key(128, "Columns of a tile.")
    f16: HalfSizes | None = key(
        None, "Half sizes of 16-bit products, if not those of the section."
    )
    source: Text = key(..., "Where these figures are from.")


class Speed(Section):
    """What an op takes that was measured."""

    call_us: Quantity = key(0.0, "Microseconds of a call.")
    ps_per_flop: Quantity = key(0.0, "Picoseconds of each operation.")
    ps_per_byte: Quantity = key(0.0, "Picoseconds of each byte.")
    ps_per_row: Quantity = key(
        0.0,
        "Of attention, picoseconds of each operation by the size of a head.",
    )


class CollectiveSpeed(Section):
    """What a collective inside a domain reaches."""

    latency_us: Quantity = key(..., "Microseconds of a message.")
    gb_per_s: Amount = key(
        ..., "10^9 bytes/s of tensors that other ranks reach."
    )
    staged_gb_per_s: Amount = key(
        ..., "10^9 bytes/s of tensors that they do not."
    )


class Collectives(Section):
    """Those that were measured; others have the figures of the domain."""

    all_reduce: CollectiveSpeed | None = key(None, "Sums that all have.")
    reduce_scatter: CollectiveSpeed | None = key(
        None, "Sums of which each has a part."
    )
    all_gather: CollectiveSpeed | None = key(None, "Parts that all have.")
    all_to_all: CollectiveSpeed | None = key(
        None, "A part of each for each other."
    )
    broadcast: CollectiveSpeed | None = key(None, "What one has, for all.")
    exchange: CollectiveSpeed | None = key(None, "Between neighbours.")


class Ops(Section):
    """How the other ops do; coefficients that were fitted."""

    attention_forward: Share = key(1.0, "Of `chip.tflops`, what it reaches.")
    attention_backward: Share = key(1.0, "The same of its backward.")
    memory_fraction: Share = key(
        1.0, "Of `chip.memory_gb_per_s`, what ops reach that only move memory."
    )
    kernel_gap_us: Quantity = key(
        0.0, "Microseconds from one kernel to the next."
    )
    host_launch_us: Quantity = key(
        0.0,
        "Microseconds of the host for each kernel; not in a CUDA graph.",
    )
    shared_by_collectives: Annotated[float, Field(ge=0, le=1)] = key(
        0.0,
        "Of an op's rate, what collectives beside it take; 1: they take turns.",
    )
    step_host_us: Quantity = key(
        0.0, "Microseconds of a step in which the host reads the batch."
    )
    speeds: dict[str, Speed] = key(
        {}, "Of ops that were measured, by their names; others move memory."
    )
    speeds_f16: dict[str, Speed] = key(
        {}, "The same on activations of 16 bits."
    )
    source: Text = key(..., "Where these figures are from.")


class Domain(Section):
    """Devices with quick links between them: a host, or a rack."""

    devices: Count = key(..., "How many it joins; 1: there is none.")
    gb_per_s: Annotated[float, Field(ge=0, le=1e6, validate_default=True)] = (
        key(
            0.0,
            "What one device sends in a second, in 10^9 bytes; needed where "
            "there are several.",
        )
    )
    latency_us: Quantity = key(0.0, "Microseconds of a message.")
    fraction: Share = key(1.0, "Of `gb_per_s`, what collectives reach.")
    collectives: Collectives | None = key(None, "Those that were measured.")
    source: Text = key(..., "Where these figures are from.")

    @field_validator("gb_per_s")
    @classmethod
    def _reaches_others(cls, value: float, info: ValidationInfo) -> float:
        devices = info.data.get("devices", 1)
        if devices > 1 and value < 1e-6:
            raise _said(
                f"{value:.15g}: must be >= 1e-06 where devices is {devices}; "
                "nearest: 1e-06"
            )
        return value


class Network(Section):
    """What is between domains."""

    gb_per_s: Amount = key(
        ..., "What one device sends in a second, in 10^9 bytes."
    )
    latency_us: Quantity = key(0.0, "Microseconds of a message.")
    fraction: Share = key(1.0, "Of `gb_per_s`, what collectives reach.")
    source: Text = key(..., "Where these figures are from.")


class Power(Section):
    """Of a device with its share of the host and of switches and fans."""

    idle_watts: Quantity = key(..., "Watts while it waits.")
    busy_watts: Annotated[Quantity, _at_least("idle_watts")] = key(
        ..., "Watts while it computes; 0: not known, and no energy is told."
    )
    site_factor: Annotated[float, Field(ge=1, le=10)] = key(
        1.0, "What the site draws for each watt of its computers (PUE)."
    )
    source: Text = key(..., "Where these figures are from.")


class Failures(Section):
    """How often devices fail."""

    hours_between: Quantity = key(
        0.0,
        "Mean hours of one device between failures that end the job; 0: not "
        "known, and none are reckoned with.",
    )
    source: Text = key(..., "Where these figures are from.")


class Accuracy(Section):
    """How far forecasts were from measured steps, as shares of these."""

    median: Error = key(..., "Half of the steps were less far off.")
    p90: Annotated[Error, _at_least("median")] = key(
        ..., "Nine of ten were less far off."
    )
    cases: Natural = key(
        ...,
        "Steps on such machines, each foretold by coefficients that were "
        "not fitted to it; 0: the errors are those on others.",
    )
    source: Text = key(..., "Where these figures are from.")


class HardwareFile(Section):
    """A file of `configs/hardware`."""

    name: Text = key(..., "What tables and pages call the machine.")
    device: Literal["cuda", "cpu"] = key(
        "cuda",
        "What a device is: a GPU, or cores of a CPU.",
        words={"gpu": "cuda", "nvidia": "cuda"},
    )
    threads: Count = key(
        1, "Of a rank on a CPU, whose cores then are one device."
    )
    chip: Chip = key(..., "What one device has.")
    matmul: Matmul = key(..., "How matrix products reach their rate.")
    ops: Ops = key(..., "How the other ops do.")
    domain: Domain = key(..., "Devices with quick links: a host, or a rack.")
    network: Network = key(..., "What is between domains.")
    power: Power = key(..., "What a device draws, with its share of the host.")
    failures: Failures = key(..., "How often devices fail.")
    accuracy: Accuracy | None = key(
        None, "How far forecasts were off; without it plans have no range."
    )

    @field_validator("threads")
    @classmethod
    def _of_cores(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("device") == "cuda":
            raise _said(f"{value}: must be 1 where device is cuda; nearest: 1")
        return value

    @field_validator("matmul")
    @classmethod
    def _of_multiprocessors(cls, value: Matmul, info: ValidationInfo) -> Matmul:
        if not value.units and info.data.get("device") == "cuda":
            _refuse(
                "units",
                value.units,
                "0: must be >= 1 where device is cuda: multiprocessors that "
                "compute a tile each; nearest: 1",
            )
        return value


def _refuse(name: str, value: Any, text: str) -> None:
    """Says that a key inside of a section is wrong beside one outside."""
    error = InitErrorDetails(type=_said(text), loc=(name,), input=value)
    raise ValidationError.from_exception_data(text, [error])
