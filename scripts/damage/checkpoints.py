"""Damages of a checkpoint, of which resume reads every byte."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from damage.case import Case
from damage.tools import (
    ANY,
    change_json,
    cut,
    edit,
    fifo,
    first,
    flip,
    grow,
    nested,
    put,
    replace,
    write,
    zeros,
)
from damage.xxh64 import xxh64

STEP = "runs/r/checkpoints/step-00000004"
MANIFEST = f"{STEP}/manifest.json"
SHARD = f"{STEP}/pipeline-0-tensor-0-data-0.safetensors"
OTHER = "pipeline-0-tensor-1-data-0.safetensors"
Change = Callable[[Any], None]


def cases() -> Iterator[Case]:
    """Yields all of them."""
    yield from _any()
    yield from _manifest()
    yield from _shard()
    yield from _sealed()
    yield from _folders()
    yield from _ranks()


def _any() -> Iterator[Case]:
    for file in (MANIFEST, SHARD):
        for name, damage in ANY.items():
            yield Case(name, file, damage)
        for share in (0.001, 0.1, 0.5, 0.9, 0.99):
            yield Case(f"cut at {share}", file, cut(share))
        for share in (0, 0.02, 0.3, 0.6, 0.99):
            yield Case(f"bit at {share} turned", file, flip(share))
        yield Case("all zeros", file, zeros)
        yield Case("a byte more", file, grow(b"x"))


def _manifest() -> Iterator[Case]:
    def case(name: str, damage: Callable[[Path], None], says: str = "") -> Case:
        return Case(name, MANIFEST, damage, says=says)

    yield case("nested 200,000 deep", write(nested("[", "]")), "nested")
    deep = nested('{"a":', "1}").replace("1}", "}", 1)
    yield case("objects 200,000 deep", write(deep), "nested")
    yield case(
        "deep config",
        replace('"config": {', f'"config": {{"x": {nested("[", "]")},'),
        "nested",
    )
    yield case("a list", write("[]"), "not a JSON object")
    yield case("text after a NUL", grow(b"\0{}"), "JSON")
    yield case(
        "a key twice", replace('"step": 4', '"step": 4, "step": 5'), "twice"
    )
    for key, value, says in (
        ("step", 5, "changed"),
        ("step", -1, "step=-1"),
        ("step", "4", "step"),
        ("step", 2**64, "step"),
        ("version", 1, "version 1"),
        ("version", 99, "version 99"),
        ("format", "other", "format"),
        ("config", [], "config"),
        ("state", {"samples": 1}, "changed"),
        ("files", [], "files"),
        ("files", {}, "files"),
        ("layout", {}, "layout"),
        ("optimizer_state", ["m"], "changed"),
        ("optimizer_state", [1], "optimizer_state"),
        ("xxh64", "0" * 16, "xxh64"),
        ("xxh64", 7, "xxh64"),
    ):
        yield case(
            f"{key}={json.dumps(value)[:20]}",
            change_json(_set(key, value)),
            says,
        )
    for axis, value in (("tensor", 2**31 - 1), ("pipeline", 2), ("data", 0)):
        yield case(
            f"layout {axis}={value}",
            change_json(_layout(axis, value)),
            "layout|files",
        )
    yield case(
        "a shard that lies outside",
        change_json(_file(name="../x")),
        "no plain file name",
    )
    yield case(
        "a shard of other size", change_json(_file(bytes=2**62)), "changed"
    )
    yield case(
        "a shard of other hash", change_json(_file(xxh64="0" * 16)), "changed"
    )
    yield case(
        "a shard listed twice",
        change_json(lambda m: m["files"].append(m["files"][0])),
        "twice",
    )
    yield case(
        "Latin-1",
        edit(lambda data: data.replace(b'"format"', b'"f\xf6rmat"')),
        "JSON",
    )


def _set(key: str, value: Any) -> Change:
    return lambda manifest: manifest.__setitem__(key, value)


def _layout(axis: str, value: int) -> Change:
    return lambda manifest: manifest["layout"].__setitem__(axis, value)


def _file(**changes: Any) -> Change:
    return lambda manifest: manifest["files"][0].update(changes)


def _shard() -> Iterator[Case]:
    """The hash in the manifest finds all of these."""
    for name, damage in (
        ("seven bytes", first(7)),
        ("header of 2^64-1 bytes", put(0, "<Q", 2**64 - 1)),
        ("header of 99 MB", put(0, "<Q", 99_000_000)),
        ("header of no bytes", put(0, "<Q", 0)),
        ("other text in the header", replace("F32", "F64")),
        ("no safetensors at all", write("hello")),
    ):
        yield Case(name, SHARD, damage)


def seal(folder: Path, shard: str | None = None) -> None:
    """Makes a manifest fit a changed shard and itself."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for file in manifest["files"]:
        if shard == file["name"]:
            data = (folder / shard).read_bytes()
            file["bytes"] = len(data)
            file["xxh64"] = f"{xxh64(data):016x}"
    del manifest["xxh64"]
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    manifest["xxh64"] = f"{xxh64(text.encode()):016x}"
    path.write_text(json.dumps(manifest, sort_keys=True, indent=2) + "\n")


def sealed(change: Callable[[Path], None]) -> Callable[[Path], None]:
    """A change of a shard that its hash does not find."""

    def damage(path: Path) -> None:
        change(path)
        seal(path.parent, path.name)

    return damage


def header(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """Changes the JSON of a safetensors file."""

    def damage(path: Path) -> None:
        data = path.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        described = json.loads(data[8 : 8 + size])
        change(described)
        text = json.dumps(described).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])

    return damage


def slices(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Changes the list that says which slice each tensor is."""

    def changed(described: dict[str, Any]) -> None:
        meta = described["__metadata__"]
        meta["slices"] = json.dumps(change(json.loads(meta["slices"])))

    return header(changed)


def _first_slice(**changes: Any) -> Callable[[Path], None]:
    def change(listed: list[Any]) -> list[Any]:
        listed[0].update(changes)
        return listed

    return slices(change)


def _last_value(value: float) -> Callable[[Path], None]:
    return edit(lambda data: data[:-4] + struct.pack("<f", value))


def _sealed() -> Iterator[Case]:
    def deep(described: dict[str, Any]) -> None:
        described["__metadata__"]["slices"] = nested("[", "]")

    for name, change, says in (
        ("NaN in a tensor", _last_value(float("nan")), "NaN or infinite"),
        ("infinity in a tensor", _last_value(float("-inf")), "NaN or infinite"),
        ("deep slices", header(deep), "nested"),
        ("slices that are no list", slices(lambda _: {}), "list"),
        ("a slice too few", slices(lambda s: s[1:]), "describes"),
        ("a slice of no tensor", _first_slice(name="x"), "no tensor"),
        ("a slice outside", _first_slice(start=[9**9, 0]), "lie in|without"),
        ("a slice of 2^63", _first_slice(extent=[2**63, 1]), "slices"),
        (
            "a slice of eleven dimensions",
            _first_slice(shape=[1] * 11),
            "slices",
        ),
        (
            "a tensor of another type",
            header(lambda h: h[_name(h)].update(dtype="I32")),
            "I32",
        ),
        (
            "a tensor of an unknown type",
            header(lambda h: h[_name(h)].update(dtype="F3")),
            "F3",
        ),
        (
            "a tensor too large",
            header(lambda h: h[_name(h)].update(shape=[2**62, 4])),
            "bytes",
        ),
        ("tensors that overlap", header(_overlap), "inside the one before"),
        (
            "offsets past the end",
            header(lambda h: h[_name(h)].update(data_offsets=[0, 2**62])),
            "not within",
        ),
        (
            "offsets that fall",
            header(lambda h: h[_name(h)].update(data_offsets=[8, 4])),
            "not within",
        ),
        (
            "a tensor named twice",
            replace('"optimizer.m/', '"optimizer.v/'),
            "twice|inside|no tensor|describes",
        ),
        ("no metadata", header(lambda h: h.pop("__metadata__")), "slices"),
    ):
        yield Case(f"{name}, hashes right", SHARD, sealed(change), says=says)


def _name(described: dict[str, Any]) -> str:
    return next(name for name in described if name != "__metadata__")


def _overlap(described: dict[str, Any]) -> None:
    entries = [v for k, v in described.items() if k != "__metadata__"]
    b = sorted(entries, key=lambda e: e["data_offsets"])[1]
    begin, end = b["data_offsets"]
    b["data_offsets"] = [begin - 4, end - 4]


def _rename(to: str) -> Callable[[Path], None]:
    return lambda path: path.rename(path.with_name(to)) and None


def _folders() -> Iterator[Case]:
    yield Case(
        "renamed to step 9",
        STEP,
        _rename("step-00000009"),
        names="step-00000009",
        says="step 4",
        command=("train", "--resume", "runs/r", "train.steps=12"),
    )
    yield Case(
        "renamed to step-5",
        STEP,
        _rename("step-5"),
        names="step-5",
        says="step 4",
    )
    yield Case(
        "put over another step",
        STEP,
        _over,
        names="step-00000004",
        says="step 2",
    )
    yield Case(
        "empty folder",
        STEP,
        ANY["folder"],
        names="manifest.json",
        says=r"nearest that works: --resume runs/r/checkpoints/step-00000002$",
    )
    yield Case("unfinished beside it", STEP, _unfinished, works=True)
    checkpoints = "runs/r/checkpoints"
    for name in (
        "nothing there",
        "FIFO",
        "link to itself",
        "link to nothing",
        "empty",
    ):
        yield Case(
            name, checkpoints, ANY[name], names="runs/r", says="checkpoint"
        )


def _over(path: Path) -> None:
    shutil.rmtree(path)
    shutil.copytree(path.with_name("step-00000002"), path)


def _unfinished(path: Path) -> None:
    other = path.with_name("step-00000005.unfinished")
    other.mkdir()
    fifo(other / "manifest.json")


def _swap(path: Path) -> None:
    other = path.with_name(OTHER)
    a, b = path.read_bytes(), other.read_bytes()
    path.write_bytes(b)
    other.write_bytes(a)


def _swap_sealed(path: Path) -> None:
    _swap(path)
    seal(path.parent, path.name)
    seal(path.parent, OTHER)


def _both(damage: Callable[[Path], None]) -> Callable[[Path], None]:
    """Another fault on another rank."""

    def all_(path: Path) -> None:
        flip(0.5)(path)
        damage(path.with_name(OTHER))

    return all_


_NAN = _last_value(float("nan"))
_LONG = put(0, "<Q", 2**64 - 1)
_DEEP = slices(lambda _: json.loads("[" * 90 + "]" * 90))
_WIDE = _layout("tensor", 2**31 - 1)


def _ranks() -> Iterator[Case]:
    shard1 = f"{STEP}/{OTHER}"
    for ranks in (2, 4):
        for name, file, damage, says in (
            ("nothing there", shard1, ANY["nothing there"], ""),
            ("bit turned", shard1, flip(0.5), "xxh64"),
            ("cut", shard1, cut(0.5), "bytes"),
            ("FIFO", shard1, fifo, "FIFO"),
            ("NaN, hashes right", shard1, sealed(_NAN), "NaN"),
            ("header of 2^64-1, hashes right", shard1, sealed(_LONG), "header"),
            ("overlap, hashes right", shard1, sealed(header(_overlap)), "insi"),
            ("deep slices, hashes right", shard1, sealed(_DEEP), "nested"),
            ("swapped with the next", SHARD, _swap, "xxh64|bytes"),
            ("two faults on two ranks", SHARD, _both(cut(0.3)), "xxh64|bytes"),
            ("version 99", MANIFEST, change_json(_set("version", 99)), "99"),
            ("layout of 2^31-1", MANIFEST, change_json(_WIDE), "files"),
            ("nested 200,000 deep", MANIFEST, write(nested("[", "]")), "neste"),
            ("FIFO", MANIFEST, fifo, "FIFO"),
        ):
            yield Case(name, file, damage, ranks=ranks, says=says)
    yield Case(
        # Each file says what is in it.
        "swapped, hashes right",
        SHARD,
        _swap_sealed,
        ranks=2,
        works=True,
    )
    yield Case(
        "renamed to step 9",
        STEP,
        _rename("step-00000009"),
        ranks=4,
        names="step-00000009",
        says="step 4",
        command=("train", "--resume", "runs/r", "train.steps=12"),
    )
