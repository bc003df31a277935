import importlib.util
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def script():
    path = ROOT / "scripts" / "plant_faults.py"
    spec = importlib.util.spec_from_file_location("plant_faults", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["plant_faults"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["plant_faults"]


def test_every_fault_still_applies_and_names_its_tests(script, capsys):
    faults = [script.Fault.read(p) for p in sorted(script.FAULTS.iterdir())]
    assert len(faults) >= 45
    assert script.check(faults) == 0, capsys.readouterr().out
    assert all(fault.tests and fault.what.endswith(".") for fault in faults)
    # One test may be blind to a kind of fault.
    assert sum(len(fault.tests) > 1 for fault in faults) > len(faults) / 2


def test_a_fault_that_does_not_apply_is_named(script, tmp_path, capsys):
    patch = tmp_path / "old.patch"
    fresh = sorted(script.FAULTS.iterdir())[0].read_text()
    patch.write_text(fresh.replace("\n-", "\n-what was there once"))
    assert script.check([script.Fault.read(patch)]) == 1
    told = capsys.readouterr().out
    assert told.startswith("tests/faults/old.patch does not apply:\n")
    patch.write_text("diff --git a/x b/x\n")
    with pytest.raises(ValueError, match=r'old\.patch: begins with "What: '):
        script.Fault.read(patch)


@pytest.mark.parametrize(
    ("code", "passes"),
    [
        ("pass", True),
        ("import os; os.environ['MARK']", True),
        ("raise SystemExit(1)", False),
        ("import os; os.abort()", False),
        ("import time; time.sleep(600)", False),
    ],
)
def test_a_test_passes_fails_or_hangs(script, tmp_path, code, passes):
    copy = object.__new__(script.Copy)
    copy.folder = tmp_path
    copy._environment = {}
    test = script.Test(
        [sys.executable, "-c", code], {"MARK": "1"}, str(tmp_path), set()
    )
    begin = time.monotonic()
    limit = 1 if "600" in code else 60
    assert copy.passes(test, limit) == passes
    assert time.monotonic() - begin < 300
