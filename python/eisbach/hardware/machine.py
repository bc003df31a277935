"""A description of a machine, as the core reckons with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eisbach.hardware.sections import Accuracy, HalfSizes, HardwareFile, Speed

if TYPE_CHECKING:
    from eisbach import _C

_GIGA = 1e9
_TERA = 1e12
_MICRO = 1e-6
_PICO = 1e-12


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
            for call, speed in domain.collectives or ()
            if speed is not None
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
