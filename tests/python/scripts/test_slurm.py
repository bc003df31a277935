"""What `scripts/slurm.sh` says of its jobs; SLURM itself is not in CI."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
from slurm.__main__ import Result, table
from slurm.cases import CASES


def test_the_table_says_what_came_of_each_job():
    results = [
        Result(CASES[0], "COMPLETED", "0:0", 1, 12.3, "same bits"),
        Result(CASES[1], "FAILED", "1:0", faults=["FAILED, not COMPLETED"]),
    ]
    assert table(results).splitlines()[2:] == [
        f"| {CASES[0].name} | COMPLETED | 0:0 | 1 | 12 | same bits |",
        f"| {CASES[1].name} | FAILED | 1:0 | 0 | 0 | - |",
    ]
