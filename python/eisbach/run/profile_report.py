"""What a profile tells: as JSON, and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eisbach.run.times import PARTS, spell

if TYPE_CHECKING:
    from eisbach import _C

_TOP = 15
_OP = ("name", "calls", "seconds", "share", "flops_per_second",
       "bytes_per_second", "of_peak", "bound")  # fmt: skip
_COLLECTIVE = ("name", "group", "calls", "bytes", "seconds", "exposed_seconds")
_PEAK = ("f32_flops", "bf16_flops", "bytes")


def as_json(traces: list[_C.RankTrace], result: _C.Profile) -> dict[str, Any]:
    """Returns the figures of a profile, ready for JSON."""
    return {
        "steps": result.steps,
        "step_seconds": result.step_seconds,
        "time_shares": _fields(result.shares, PARTS),
        "peak_per_second": _fields(result.peak, _PEAK),
        "ops": [_fields(row, _OP) for row in result.ops],
        "collectives": [_fields(r, _COLLECTIVE) for r in result.collectives],
        "clocks": [
            {
                "rank": trace.rank,
                "host": trace.host,
                "offset_ns": trace.clock_offset_ns,
                "error_ns": trace.clock_error_ns,
            }
            for trace in traces
        ],
    }


def _fields(source: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(source, name) for name in names}


def report(
    traces: list[_C.RankTrace], result: _C.Profile, facts: dict[str, Any]
) -> str:
    """Returns the tables as text.

    Args:
      traces: Of all ranks.
      result: Their sums.
      facts: What `profile.json` says.
    """
    peak = result.peak
    lines = [
        f"machine, a rank: matmul {peak.f32_flops / 1e9:,.1f} GFLOP/s in f32, "
        f"{peak.bf16_flops / 1e9:,.1f} in bf16; memory "
        f"{peak.bytes / 1e9:,.1f} GB/s (measured on all ranks at once)",
        f"{result.steps} steps of {result.step_seconds * 1e3:,.1f} ms, "
        f"{facts['tokens_per_second']:,.0f} tokens/s",
        spell(facts["time_shares"]),
        "",
        f"ops, sums over {_count(len(traces), 'rank')} and "
        f"{_count(result.steps, 'step')}; rates are those of a rank",
        *_table(
            ("op", "calls", "ms", "of step", "GFLOP/s", "GB/s", "of peak"),
            [_op(row) for row in result.ops[:_TOP]],
        ),
    ]
    if len(result.ops) > _TOP:
        lines.append(f"and {len(result.ops) - _TOP} more in profile.json")
    if result.collectives:
        lines += [
            "",
            "collectives, the same sums; exposed: nothing else was done",
            *_table(
                ("collective", "group", "calls", "MB", "ms", "exposed ms"),
                [_collective(row) for row in result.collectives],
            ),
        ]
    lines += _clocks(traces)
    return "\n".join(lines) + "\n"


def _op(row: _C.OpRow) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.calls:,}",
        f"{row.seconds * 1e3:,.2f}",
        f"{row.share:.1%}",
        f"{row.flops_per_second / 1e9:,.2f}",
        f"{row.bytes_per_second / 1e9:,.2f}",
        f"{row.of_peak:.0%} {row.bound}",
    )


def _collective(row: _C.CollectiveRow) -> tuple[str, ...]:
    return (
        row.name,
        row.group,
        f"{row.calls:,}",
        f"{row.bytes / 1e6:,.2f}",
        f"{row.seconds * 1e3:,.2f}",
        f"{row.exposed_seconds * 1e3:,.2f}",
    )


def _clocks(traces: list[_C.RankTrace]) -> list[str]:
    """How far to trust the time line, where ranks have several clocks."""
    worst = max(trace.clock_error_ns for trace in traces)
    if not worst:
        return []
    return [
        "",
        f"clocks of other hosts were compared: events of two ranks may be "
        f"{worst / 1e3:,.1f} us apart from what the trace shows",
    ]


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Aligns columns: words to the left, figures to the right."""
    table = [header, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    words = {"op", "collective", "group"}
    return [
        "  ".join(
            cell.ljust(width) if title in words else cell.rjust(width)
            for cell, width, title in zip(row, widths, header, strict=True)
        ).rstrip()
        for row in table
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
