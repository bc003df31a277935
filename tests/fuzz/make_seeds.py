#!/usr/bin/env python3
"""Writes the seeds of the fuzzers, a folder a target: tests/fuzz/seeds/.

    python tests/fuzz/make_seeds.py

Those of safetensors_file are also what our reader is compared on with Hugging
Face's (tests/python/bindings/test_checkpoint.py): sound files, and one for each
way in which a header can lie.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SEEDS = Path(__file__).with_name("seeds")
Header = dict[str, Any]


def tensor(dtype: str, shape: list[int], begin: int, end: int) -> Header:
    """Describes one tensor of a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def file(header: Header | str | bytes, data: bytes = b"") -> bytes:
    """Returns a safetensors file."""
    if isinstance(header, dict):
        header = json.dumps(header, separators=(",", ":"))
    if isinstance(header, str):
        header = header.encode()
    return struct.pack("<Q", len(header)) + header + data


def floats(*values: float) -> bytes:
    """Returns f32 numbers as bytes."""
    return struct.pack(f"<{len(values)}f", *values)


TWO = {
    "a": tensor("F32", [2, 2], 0, 16),
    "b": tensor("I64", [], 16, 24),
}
DATA = bytes(range(24))


def safetensors_files() -> Iterator[tuple[str, bytes]]:
    """Yields sound files, and the cases of a header that is not."""
    one = tensor("U8", [2], 0, 2)
    text = json.dumps(TWO)
    yield "sound", file(TWO, DATA)
    yield "sound-empty", file({})
    yield "sound-metadata", file({"__metadata__": {"k": "v"}, **TWO}, DATA)
    yield "sound-trailing-spaces", file(text + "   ", DATA)
    yield "sound-zero-elements", file({"e": tensor("F32", [0, 3], 0, 0)})
    yield (
        "sound-types",
        file(
            {
                "x": tensor("BF16", [3], 0, 6),
                "y": tensor("F16", [1], 6, 8),
                "z": tensor("F64", [1], 8, 16),
                "m": tensor("BOOL", [2], 16, 18),
            },
            bytes(18),
        ),
    )
    yield "sound-utf8", file({"schräg/β": one}, b"ab")
    yield (
        "sound-not-finite",
        file({"w": tensor("F32", [2], 0, 8)}, floats(1.0, float("nan"))),
    )
    # The length of the header.
    yield "length-cut", file(TWO, DATA)[:5]
    yield "length-zero", struct.pack("<Q", 0)
    yield "length-2-63", struct.pack("<Q", 1 << 63) + b"{}"
    yield "length-all-ones", struct.pack("<Q", (1 << 64) - 1) + b"{}"
    yield "length-over-limit", struct.pack("<Q", 100_000_001) + b"{}"
    yield "length-beyond-file", struct.pack("<Q", 3) + b"{}"
    # Its text.
    yield "text-not-utf8", file(b'{"\xff":1}')
    yield "text-not-json", file('{"a":')
    yield "text-list", file("[]")
    yield "text-leading-space", file(" " + text, DATA)
    yield "text-trailing-garbage", file(text + "x", DATA)
    yield "text-nul", file(b"{}\0\0")
    yield "text-deep", file('{"a":' + "[" * 700 + "]" * 700 + "}")
    yield (
        "text-name-twice",
        file(
            '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
            '"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
            b"ab",
        ),
    )
    yield "text-metadata-numbers", file({"__metadata__": {"k": 1}})
    # Its fields.
    yield "field-no-dtype", file({"a": {"shape": [2], "data_offsets": [0, 2]}})
    yield "field-unknown-dtype", file({"a": tensor("Q7", [2], 0, 2)}, b"ab")
    yield "field-wrong-dtype", file({"a": tensor("F32", [2], 0, 2)}, b"ab")
    yield "field-negative-size", file({"a": tensor("U8", [-2], 0, 2)}, b"ab")
    yield "field-fraction", file({"a": tensor("U8", [2.0], 0, 2)}, b"ab")  # type: ignore[list-item]
    yield (
        "field-size-overflow",
        file({"a": tensor("F32", [1 << 62, 4], 0, 16)}, bytes(16)),
    )
    yield (
        "field-product-overflow",
        file({"a": tensor("U8", [1 << 32, 1 << 32], 0, 0)}),
    )
    yield "field-size-2-63", file({"a": tensor("U8", [1 << 63], 0, 2)}, b"ab")
    # Where the data is.
    yield "offsets-swapped", file({"a": tensor("U8", [2], 2, 0)}, b"ab")
    yield "offsets-beyond-file", file({"a": tensor("U8", [9], 0, 9)}, b"ab")
    yield (
        "offsets-one",
        file({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0]}}, b"ab"),
    )
    yield "offsets-negative", file({"a": tensor("U8", [2], -2, 0)}, b"ab")
    yield (
        "offsets-overlap",
        file({"a": one, "b": tensor("U8", [2], 1, 3)}, b"abc"),
    )
    yield (
        "offsets-hole",
        file({"a": one, "b": tensor("U8", [1], 3, 4)}, b"abcd"),
    )
    yield "offsets-hole-before", file({"a": tensor("U8", [2], 1, 3)}, b"abc")
    yield "offsets-tail", file({"a": one}, b"abc")
    yield "offsets-cut", file(TWO, DATA)[:-1]


def slices(*boxes: tuple[str, str, list[int], list[int], list[int]]) -> bytes:
    """Returns a file of a checkpoint with these parts of tensors."""
    listed, header, data = [], {}, b""
    for part, name, shape, start, extent in boxes:
        count = 1
        for size in extent:
            count *= size
        key = f"optimizer.{part}/{name}" if part else name
        if extent != shape:
            key += "@" + ",".join(map(str, start))
        header[key] = tensor("F32", extent, len(data), len(data) + 4 * count)
        data += floats(*range(count))
        listed.append(
            {
                "part": part,
                "name": name,
                "shape": shape,
                "start": start,
                "extent": extent,
            }
        )
    return file(
        {"__metadata__": {"slices": json.dumps(listed)}, **header}, data
    )


def checkpoints() -> Iterator[tuple[str, bytes]]:
    """Yields files of checkpoints."""
    whole = ("", "w", [2, 3], [0, 0], [2, 3])
    left, right = (
        ("", "w", [2, 3], [0, 0], [2, 1]),
        ("", "w", [2, 3], [0, 1], [2, 2]),
    )
    yield "whole", slices(whole, ("m", "w", *whole[2:]))
    yield "boxes", slices(left, right)
    yield "hole", slices(left)
    yield "twice", slices(whole, ("", "w", [2, 3], [0, 1], [2, 1]))
    yield "other-shape", slices(left, ("", "w", [2], [0], [1]))
    yield "state-alone", slices(("v", "w", [4], [0], [4]))
    yield "outside", slices(("", "w", [4], [3], [2]))
    yield "huge", slices(("", "w", [1 << 40], [0], [2]))
    yield "no-slices", file(TWO, DATA)


def index(
    lengths: list[int],
    bounds: list[int],
    *,
    code: int = 1,
    size: int | None = None,
    width: int = 1,
) -> bytes:
    """Returns two bytes for the size of the .bin, and the .idx."""
    begins = [width * sum(lengths[:i]) for i in range(len(lengths))]
    if size is None:
        size = width * sum(lengths)
    return (
        struct.pack("<H", size)
        + b"MMIDIDX\0\0"
        + struct.pack("<QBQQ", 1, code, len(lengths), len(bounds))
        + struct.pack(f"<{len(lengths)}i", *lengths)
        + struct.pack(f"<{len(lengths)}q", *begins)
        + struct.pack(f"<{len(bounds)}q", *bounds)
    )


def indices() -> Iterator[tuple[str, bytes]]:
    """Yields pairs of token files."""
    yield "sound", index([3, 0, 5], [0, 2, 3])
    yield "sound-empty", index([], [0])
    yield "sound-u16", index([2, 4], [0, 1, 2], code=8, width=2)
    yield "sound-i64", index([2], [0, 1], code=5, width=8)
    yield "magic", index([3], [0, 1]).replace(b"MMIDIDX", b"MMIDIDY")
    yield "type", index([3], [0, 1], code=7)
    yield "negative-length", index([-3], [0, 1], size=3)
    yield "bin-cut", index([3], [0, 1], size=2)
    yield "bin-tail", index([3], [0, 1], size=4)
    yield "no-bounds", index([3], [])
    yield "bounds-back", index([1, 1], [0, 2, 1])
    yield "bounds-beyond", index([1, 1], [0, 3])
    yield (
        "count-overflow",
        struct.pack("<H", 0)
        + b"MMIDIDX\0\0"
        + struct.pack("<QBQQ", 1, 1, 1 << 62, 1 << 61),
    )


def masks() -> Iterator[tuple[str, bytes]]:
    """Yields masks of eleven tokens."""
    head = b"EISMASK\0" + struct.pack("<II", 1, 0)
    yield "sound", head + bytes([0, 0, 1, 1, 1, 0, 1, 0, 0, 0, 1])
    yield "sound-nothing", head + bytes(11)
    yield "sound-first-alone", head + bytes([1, 0, 0, 0, 1, 1, *bytes(5)])
    yield "magic", b"EISMASX" + head[7:] + bytes(11)
    yield "version", head[:8] + struct.pack("<II", 2, 0) + bytes(11)
    yield "reserved", head[:8] + struct.pack("<II", 1, 1) + bytes(11)
    yield "value", head + bytes([0, 2, *bytes(9)])
    yield "short", head + bytes(10)
    yield "long", head + bytes(12)
    yield "no-header", head[:15]


def manifests() -> Iterator[tuple[str, bytes]]:
    """Yields manifests; the target gives them the right hash."""
    sound: Header = {
        "format": "eisbach.checkpoint",
        "version": 3,
        "eisbach": "0.1.0",
        "step": 7,
        "parent": {"step": 3, "xxh64": "0123456789abcdef"},
        "layout": {"pipeline": 2, "data": 1, "context": 1, "tensor": 1},
        "optimizer_state": ["m", "v"],
        "config": {"model": {"heads": 2}, "data.train": [{"weight": 1.0}]},
        "state": {"samples": 56},
        "loss_scale": {"scale": 1024.0, "good_steps": 3},
        "history": {
            "losses": [3.5, 3.25],
            "norms": [1.0, 0.75],
            "in_a_row": 1,
            "skipped": 2,
        },
        "files": [
            {
                "name": f"stage-{i}",
                "pipeline": i,
                "tensor": 0,
                "data": 0,
                "bytes": 9,
                "xxh64": "0123456789abcdef",
            }
            for i in range(2)
        ],
    }
    changes: dict[str, Header] = {
        "sound": {},
        "version": {"version": 2},
        "step": {"step": 1 << 64},
        "layout": {"layout": {"pipeline": 0}},
        "state": {"state": []},
        "files": {"files": sound["files"][:1]},
        "name": {"files": [{**sound["files"][0], "name": "../a"}]},
        "scale": {"loss_scale": {"scale": -1, "good_steps": 0}},
        "history": {"history": {"losses": [1], "norms": [], "in_a_row": -1}},
    }
    for name, change in changes.items():
        yield name, json.dumps({**sound, **change}).encode()


def texts() -> Iterator[tuple[str, bytes]]:
    """Yields JSON."""
    yield "object", b'{"a": [1, -2.5e3, true, null], "b": {"c": "\\u00e4\\n"}}'
    yield "deep", b"[" * 70 + b"]" * 70
    yield "twice", b'{"a": 1, "a": 2}'
    yield "numbers", b"[18446744073709551615, -9223372036854775808, 1e400]"
    yield "surrogate", b'["\\ud800", "\\ud83d\\ude00"]'
    yield "nul", b"{}\0"
    yield "not-utf8", b'"\xc3\x28"'


def main() -> None:
    """Writes all of them."""
    headers = (
        (
            name,
            struct.pack("<I", max(0, len(data) - 8 - size))
            + data[8 : 8 + size],
        )
        for name, data in safetensors_files()
        if len(data) >= 8 and (size := struct.unpack("<Q", data[:8])[0]) < 2000
    )
    for target, seeds in {
        "json": texts(),
        "safetensors_header": headers,
        "safetensors_file": safetensors_files(),
        "token_index": indices(),
        "token_mask": masks(),
        "manifest": manifests(),
        "checkpoint": checkpoints(),
    }.items():
        folder = SEEDS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds:
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
