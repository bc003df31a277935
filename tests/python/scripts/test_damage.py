"""A handful of what scripts/damage.sh does, and that it can find a fault."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
from damage import __main__ as program
from damage.case import Case
from damage.xxh64 import xxh64


def test_there_are_enough_and_no_two_are_the_same():
    cases = program.select([])
    assert len(cases) >= 150
    named = {(c.name, c.file, c.command, c.ranks) for c in cases}
    assert len(named) == len(cases)


def test_some_damages_are_told():
    wanted = (
        ("FIFO", "manifest.json", "1"),
        ("NaN in a tensor, hashes right",),
        ("other tokens", "train", "1"),
    )
    cases = [program.select(list(words))[0] for words in wanted]
    assert [o.fault for o in program.run(cases, jobs=1)] == [""] * len(cases)


@pytest.mark.parametrize(
    ("code", "errors", "fault"),
    [
        (1, "eisbach: error: a/b.bin: is cut\n", ""),
        (0, "", "went on"),
        (-11, "", "died of signal 11"),
        (1, "Traceback\neisbach: error: b.bin: cut", "a trace"),
        (1, "eisbach: error: a.bin: is cut", "does not name b.bin"),
        (1, "eisbach: error: b.bin: is so", "does not say cut"),
        (1, "eisbach: error: b.bin: cut\n" * 2, "2 lines"),
    ],
)
def test_what_is_badly_met_is_a_fault(code, errors, fault):
    case = Case("x", "a/b.bin", lambda path: None, says="cut")
    lines = [line for line in errors.splitlines() if program.MARK in line]
    told = program._fault(case, code, lines, errors)
    assert told.startswith(fault)
    assert bool(told) == bool(fault)


def test_the_hash_is_that_of_checkpoints():
    assert xxh64(b"") == 0xEF46DB3751D8E999
    text = b"Nobody inspects the spammish repetition"
    assert xxh64(text) == 0xFBCEA83C8A378BF1
