"""Every key of a description, each with values that it cannot have."""

import math
import re

import pytest
from ruamel.yaml import YAML

from eisbach.config import ConfigError
from eisbach.config.rules import at
from eisbach.config.section import schema_of
from eisbach.hardware import HardwareFile, folder, read_hardware

ROOT = schema_of(HardwareFile)
# 0 means that there is none, or that nobody knows.
MAY_BE_0 = {
    "chip.tflops.f16", "chip.tflops.f8", "chip.tflops.f4",
    "matmul.half_rows", "matmul.half_columns", "matmul.half_inner",
    "matmul.f16.half_rows", "matmul.f16.half_columns", "matmul.f16.half_inner",
    "ops.kernel_gap_us", "ops.host_launch_us", "ops.shared_by_collectives",
    "ops.step_host_us", "ops.speeds.gelu.call_us",
    "ops.speeds.gelu.ps_per_flop", "ops.speeds.gelu.ps_per_byte",
    "ops.speeds.gelu.ps_per_row",
    "domain.latency_us", "domain.collectives.all_reduce.latency_us",
    "network.latency_us", "power.idle_watts", "failures.hours_between",
    "accuracy.median", "accuracy.cases",
}  # fmt: skip
COUPLED = {
    "power.idle_watts", "power.busy_watts", "accuracy.median", "accuracy.p90",
    "matmul.units", "domain.gb_per_s", "threads",
}  # fmt: skip
# Of the kind of others that are given.
ALIKE = {
    "speeds_f16", "reduce_scatter", "all_gather", "all_to_all", "broadcast",
    "exchange",
}  # fmt: skip
WRONG = {
    "zero": 0, "negative": -1.5, "nan": math.nan, "inf": math.inf,
    "huge": 1e300, "word": "many", "list": [1], "nothing": None,
}  # fmt: skip


def full():
    """A description in which every key is given."""
    tree = YAML(typ="safe").load(folder() / "dgx-h100.yaml")
    tree |= {"device": "cuda", "threads": 1}
    tree["matmul"] |= {"tile_rows": 256, "tile_columns": 128}
    sizes = dict.fromkeys(("half_rows", "half_columns", "half_inner"), 1.0)
    tree["matmul"] |= {**sizes, "f16": dict(sizes)}
    speed = ("call_us", "ps_per_flop", "ps_per_byte", "ps_per_row")
    tree["ops"] |= {
        "shared_by_collectives": 0.5,
        "step_host_us": 1.0,
        "speeds": {"gelu": dict.fromkeys(speed, 1.0)},
    }
    speed = ("latency_us", "gb_per_s", "staged_gb_per_s")
    tree["domain"]["collectives"] = {"all_reduce": dict.fromkeys(speed, 1.0)}
    return tree


def keys(tree, path=()):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from keys(value, (*path, name))
        else:
            yield (*path, name)


KEYS = list(keys(full()))
NUMBERS = [
    path for path in KEYS if at(path, ROOT)[0]["type"] in ("number", "integer")
]


def changed(path, value):
    tree = full()
    holder = tree
    for part in path[:-1]:
        holder = holder[part]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return tree


@pytest.fixture
def said(tmp_path):
    """Writes a description, and returns what is wrong with it; "" for none."""

    def said(tree):
        file = tmp_path / "mine.yaml"
        YAML(typ="safe").dump(tree, file)
        try:
            read_hardware(str(file))
        except ConfigError as error:
            (problem,) = error.problems
            return str(problem)
        return ""

    return said


def sections(tree, path=()):
    yield path, tree
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from sections(value, (*path, name))


def test_every_key_may_be_given(said):
    assert said(full()) == ""
    for path, given in sections(full()):
        declared = {k for s in at(path, ROOT) for k in s.get("properties", ())}
        assert declared <= {*given, *ALIKE}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("path", NUMBERS, ids=".".join)
def test_a_wrong_number_is_one_clear_message(said, path, wrong):
    name, value = ".".join(path), WRONG[wrong]
    message = said(changed(path, value))
    if value == 0 and name in MAY_BE_0:
        assert message == ""
        return
    assert re.match(rf".*/mine\.yaml:\d+: {re.escape(name)}: ", message)
    assert "must be " in message
    shown = {"zero": "0", "nan": ".nan", "inf": ".inf", "nothing": "null"}
    assert f": {shown.get(wrong, str(value))}: " in message
    assert "nput should" not in message
    if "nearest: " not in message:
        # Of the nearest by itself the others think nothing.
        assert wrong in ("nan", "word", "list", "nothing") or name in COUPLED
    else:
        nearest = YAML(typ="safe").load(message.rpartition("nearest: ")[2])
        assert said(changed(path, nearest)) == ""


@pytest.mark.parametrize("path", KEYS, ids=".".join)
def test_what_is_missing_is_named(said, path):
    message = said(changed(path, ...))
    has_default = any(
        "default" in one.get("properties", {}).get(path[-1], {})
        for one in at(path[:-1], ROOT)
    )
    if has_default and path[-1] not in ("gb_per_s", "units"):
        assert message == ""
    else:
        assert f": {'.'.join(path)}: " in message
        assert "mine.yaml" in message
        assert "must be " in message


@pytest.mark.parametrize(
    "section",
    [name for name, value in full().items() if isinstance(value, dict)],
)
def test_a_section_is_missing_from_the_file(said, section):
    message = said(changed((section,), ...))
    if section == "accuracy":
        assert message == ""
    else:
        assert message.endswith(
            f"mine.yaml: {section}: missing; it has no default and must be "
            "{" + ", ".join(at((section,), ROOT)[0]["properties"]) + "}"
        )
    message = said(changed((section,), 5))
    assert ": 5 " in message or ": 5: must be {" in message
    assert "source" in message


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            "power.idle_watts",
            2000,
            "power.busy_watts: 1275: must be >= idle_wa",
        ),
        ("power.busy_watts", 1, "1: must be >= idle_watts, which is "),
        ("accuracy.p90", 0.01, "0.01: must be >= median, which is 0."),
        ("matmul.units", 0, "0: must be >= 1 where device is cuda"),
        ("threads", 4, "4: must be 1 where device is cuda; nearest: 1"),
        ("domain.gb_per_s", 0, "0: must be >= 1e-06 where devices is 8"),
        ("chip.tflops.f8", 1e-300, "must be 0 or a number >= 1e-06"),
        ("device", "gpu", "gpu: must be `cuda` or `cpu`; nearest: cuda"),
    ],
)
def test_keys_that_contradict_one_another_are_refused(said, path, value, words):
    assert words in said(changed(path.split("."), value))


def test_on_a_cpu_products_need_no_tiles(said):
    tree = full() | {"device": "cpu", "threads": 4}
    del tree["matmul"]["units"]
    assert said(tree) == ""


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("chip.memory", 80, "unknown key; closest: chip.memory_gb"),
        (
            "chip.colour",
            80,
            "known: memory_gb, memory_gb_per_s, tflops, source",
        ),
        ("chip.busy_watts", 80, "unknown key; closest: power.busy_watts"),
        ("ops.speeds.gelu.call", 80, "closest: ops.speeds.gelu.call_us"),
        ("domain.collectives.all_redcue", 80, "domain.collectives.all_reduce"),
        ("nam", "mine", "unknown key; closest: name"),
        (
            "zzz",
            80,
            "unknown key; known: name, device, threads, chip, matmul, ",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest_or_those_that_are_known(
    said, path, value, words
):
    assert words in said(changed(path.split("."), value))


def test_an_unknown_section_names_the_nearest(said):
    message = said(changed(("powers",), full()["power"]))
    assert message.endswith("powers: unknown key; closest: power")
