"""Damages of data, tokenizers, configurations, metrics and exported models."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from damage.case import CONFIG, RESUME, SAMPLE, TRAIN, Case
from damage.checkpoints import header
from damage.tools import (
    ANY,
    Damage,
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

RUN = "runs/r"
_DEEP = '{"a":' + nested("[", "]") + "}"


def cases() -> Iterator[Case]:
    """Yields all of them."""
    yield from _tokens()
    yield from _token_facts()
    yield from _tokenizer()
    yield from _configurations()
    yield from _metrics()
    yield from _model()


def _any(
    file: str, command: tuple[str, ...], *, without: str = ""
) -> Iterator[Case]:
    for name, damage in ANY.items():
        if name != without:
            yield Case(name, file, damage, command)


def _tokens() -> Iterator[Case]:
    # `put` writes at the fields of the header, which token_format.h describes.
    index: list[tuple[str, Damage, str]] = [
        ("another magic", flip(0), "MMIDIDX"),
        ("version 2", put(9, "<Q", 2), "version 2"),
        ("type 6", put(17, "<B", 6), "type"),
        ("type 0", put(17, "<B", 0), "type"),
        ("2^64-1 sequences", put(18, "<Q", 2**64 - 1), "sequences"),
        ("no document bounds", put(26, "<Q", 0), "bounds"),
        ("2^63 document bounds", put(26, "<Q", 2**63), "bounds"),
        ("a length below 0", put(34, "<i", -1), "length"),
        ("a length past the end", put(34, "<i", 2**31 - 1), "byte"),
        ("cut in the header", first(20), "bytes"),
        ("cut", cut(0.5), "bytes"),
        ("grown", grow(b"\0" * 8), "bytes"),
        ("all zeros", zeros, "MMIDIDX"),
        ("JSON", write("{}"), "bytes"),
    ]
    for name, damage, says in index:
        yield Case(name, "data/train.idx", damage, TRAIN, says=says)
    for name, damage in (("cut", cut(0.7)), ("grown", grow(b"abc"))):
        # The index knows how long the tokens are.
        yield Case(name, "data/train.bin", damage, TRAIN, says="bytes")
    for suffix in ("bin", "idx"):
        file = f"data/train.{suffix}"
        yield from _any(file, TRAIN)
        yield Case("FIFO", file, fifo, TRAIN, ranks=2, says="FIFO")
        yield Case("cut", file, cut(0.4), TRAIN, ranks=4, says="bytes")
        yield Case(
            "nothing there",
            f"data/validation.{suffix}",
            ANY["nothing there"],
            TRAIN,
        )
    yield Case(
        "an id outside",
        "data/train.bin",
        edit(lambda tokens: b"\xff" * len(tokens)),
        TRAIN,
        says="token",
    )
    yield Case(
        "other tokens",
        "data/train.bin",
        flip(0.1),
        RESUME,
        names="data/train",
        says=r"data\.train\[0\]\.bin",
    )
    yield Case(
        "other tokens",
        "data/train.bin",
        flip(0.1),
        RESUME,
        names="data/train",
        ranks=2,
        says=r"data\.train\[0\]\.bin",
    )


def _token_facts() -> Iterator[Case]:
    file = "data/train.json"
    yield from _any(file, TRAIN, without="nothing there")
    yield Case("nothing there", file, ANY["nothing there"], TRAIN, works=True)
    for name, damage in (
        ("cut", cut(0.5)),
        ("nested 200,000 deep", write(nested("[", "]"))),
        ("a list", write("[]")),
        ("text for a number", replace('"vocab": ', '"vocab": "many", "x": ')),
        ("Latin-1", write(b'{"tokenizer": "\xf6"}')),
        ("all zeros", zeros),
    ):
        yield Case(name, file, damage, TRAIN, says="damaged")


def _tokenizer() -> Iterator[Case]:
    given = "tokenizer.json"
    yield from _any(given, TRAIN)
    for name, damage in (
        ("cut", cut(0.5)),
        ("nested 200,000 deep", write(nested("[", "]"))),
        ("a list", write("[]")),
        ("an object", write("{}")),
        ("all zeros", zeros),
        ("Latin-1", write(b'"\xf6"')),
        ("no model", change_json(lambda t: t.pop("model"))),
    ):
        yield Case(name, given, damage, TRAIN)
    yield Case(
        "another one",
        given,
        grow(b" "),
        TRAIN,
        names="data/train",
        says="tokenizer",
    )
    own = f"{RUN}/tokenizer/tokenizer.json"
    for name in (
        "FIFO",
        "socket",
        "folder",
        "device",
        "link to itself",
        "nothing there",
        "empty",
    ):
        yield Case(name, own, ANY[name])
    yield Case("cut", own, cut(0.5))
    yield Case("another one", own, grow(b" "), says="is not the tokenizer")
    rules = f"{RUN}/tokenizer/documents.json"
    for name in ("empty", "2 TB of holes"):
        yield Case(name, rules, ANY[name])
    yield Case("cut", rules, cut(0.5), says="damaged")
    yield Case(
        "nested 200,000 deep", rules, write(nested("[", "]")), says="damaged"
    )
    yield Case(
        "an id outside",
        rules,
        change_json(lambda d: d.update(end_of_document=9**9)),
        names="tokenizer",
        says="outside",
    )


def _bomb(leaf: str, open_: str, close: str) -> str:
    lines = [f"a0: &a0 {leaf}"]
    for i in range(1, 12):
        aliases = ", ".join([f"*a{i - 1}"] * 9)
        lines.append(f"a{i}: &a{i} {open_}{aliases}{close}")
    return "\n".join(lines) + "\n"


_DIGITS = "train: {steps: " + "9" * 100_000 + "}\n"
_BOMB = _bomb("[x, x]", "[", "]")
_YAML: tuple[tuple[str, Damage, str], ...] = (
    ("alias bomb", write(_BOMB), "values"),
    ("bomb of merges", write(_bomb("{x: 1}", "{<<: [", "]}")), ""),
    ("alias of itself", write("model: &a {layers: *a}\n"), "itself"),
    ("lists 100,000 deep", write("model: " + "[" * 100_000), "nested"),
    ("mappings 50,000 deep", write("{a: " * 50_000), "nested"),
    ("text without an end", write("run: {name: \"x"), "YAML"),
    ("a tab", write("run:\n\tname: x\n"), "YAML"),
    ("a key twice", write("run: {name: a}\nrun: {name: b}\n"), "duplicate"),
    ("a tag", write("run: !!python/object:os.system {}\n"), "tag"),
    ("an unknown key", write("run: {nam: x}\n"), "unknown"),
    ("a list", write("- 1\n"), "sections"),
    ("a number of 100,000 digits", write(_DIGITS), ""),
    ("Latin-1", write(b"run: {name: \xf6}\n"), "UTF-8"),
    ("zero bytes", write(bytes(100)), "YAML"),
    ("a base that is a FIFO", write("base: pipe\n"), "pipe"),
    ("a base that is itself", write("base: small.yaml\n"), "small.yaml"),
)  # fmt: skip


def _configurations() -> Iterator[Case]:
    for name, damage in ANY.items():
        if name != "empty":  # the defaults
            yield Case(name, "small.yaml", damage, CONFIG)
    for name, damage, says in _YAML:
        yield Case(name, "small.yaml", damage, CONFIG, says=says)
    yield Case(
        "alias bomb", "small.yaml", write(_BOMB), TRAIN, ranks=2, says="values"
    )
    file = f"{RUN}/config.yaml"
    for name, damage in ANY.items():
        yield Case(name, file, damage)
    for name, damage, says in _YAML:
        if "base" not in name:
            yield Case(name, file, damage, says=says)
    yield Case("cut in a line", file, cut(0.53))
    yield Case(
        "other model",
        file,
        replace("layers: 2", "layers: 3"),
        names="checkpoint",
        says=r"model\.layers",
    )


_LINES = (
    ("torn last line", cut(0.8)),
    ("zeros at the end", grow(bytes(4096))),
    ("a foreign line", grow(b"hello\n")),
    ("a line 200,000 deep", grow(nested("[", "]").encode() + b"\n")),
    ("zeros alone", zeros),
    ("empty", ANY["empty"]),
    ("nothing there", ANY["nothing there"]),
    ("Latin-1", grow(b"\xf6\n")),
)


def _metrics() -> Iterator[Case]:
    for file in (f"{RUN}/metrics.jsonl", f"{RUN}/validation.jsonl"):
        for name, damage in _LINES:  # nothing that a resume needs
            yield Case(name, file, damage, works=True)
        for name in ("FIFO", "folder", "socket", "device", "link to itself"):
            yield Case(name, file, ANY[name])
    for name in ("empty", "FIFO", "folder", "nothing there", "link to itself"):
        yield Case(name, f"{RUN}/summary.json", ANY[name], works=True)


def _model() -> Iterator[Case]:
    file = f"{RUN}/model/model.safetensors"
    yield from _any(file, SAMPLE)

    def entry(**changes: object) -> Damage:
        return header(lambda h: h[sorted(h)[-1]].update(changes))

    for name, damage, says in (
        ("seven bytes", first(7), "bytes"),
        ("cut", cut(0.5), "bytes"),
        ("grown", grow(b"abcd"), "end at byte"),
        ("header of 2^64-1 bytes", put(0, "<Q", 2**64 - 1), "header"),
        ("header of 99 MB", put(0, "<Q", 99_000_000), "header"),
        ("header nested 200,000 deep", write(_file(_DEEP)), "nested"),
        ("header of a list", write(_file("[]")), "begin"),
        ("NaN", _weight(float("nan")), "is nan"),
        ("infinity", _weight(float("inf")), "is inf"),
        ("a tensor of another type", entry(dtype="I32"), "I32"),
        ("a tensor of another shape", entry(shape=[1]), "bytes"),
        ("a tensor that is gone", header(_hide), ""),
        ("offsets past the end", entry(data_offsets=[0, 2**62]), "not within"),
    ):  # fmt: skip
        yield Case(name, file, damage, SAMPLE, says=says)


def _hide(described: dict[str, object]) -> None:
    described["x"] = described.pop(sorted(described)[-1])


def _file(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _weight(value: float) -> Damage:
    def change(data: bytes) -> bytes:
        return data[:-4] + struct.pack("<f", value)

    return lambda path: path.write_bytes(change(path.read_bytes())) and None
