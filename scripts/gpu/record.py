"""What a run on a GPU has found so far, on disk after each line of it.

A folder with `results.jsonl`, a line for each thing that ran, and the same as
`results.json` and as a table for docs/hardware.md, `results.md`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PASSED, FAILED = "passed", "failed"
NOT_RUN, CUT_OFF = "not run", "cut off"


@dataclass(frozen=True)
class Row:
    """One thing that ran, or why it did not."""

    part: str
    name: str
    state: str
    seconds: float
    text: str = ""  # what it found or what went wrong, in a line
    figures: dict[str, Any] = field(default_factory=dict)


class Record:
    """Rows as they come."""

    def __init__(self, folder: Path, machine: dict[str, str]):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._machine = machine
        self.rows: list[Row] = []
        (folder / "results.jsonl").write_text("")
        self._write_all()

    def add(self, row: Row) -> None:
        """Takes a row, prints it and writes all files."""
        self.rows.append(row)
        with (self._folder / "results.jsonl").open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._write_all()
        told = f": {row.text}" if row.text else ""
        print(f"{row.part}: {row.name}: {row.state}{told}", flush=True)

    def exit_code(self) -> int:
        """1 where something failed or was cut off, 77 where nothing ran."""
        states = {row.state for row in self.rows}
        if states & {FAILED, CUT_OFF}:
            return 1
        return 0 if PASSED in states else 77

    def _write_all(self) -> None:
        whole = {"machine": self._machine, "rows": list(map(asdict, self.rows))}
        _replace(self._folder / "results.json", json.dumps(whole, indent=1))
        _replace(
            self._folder / "results.md", markdown(self._machine, self.rows)
        )


def markdown(machine: dict[str, str], rows: list[Row]) -> str:
    """The rows as a table for docs/hardware.md; first what did not pass."""
    lines = [", ".join(f"{key} {value}" for key, value in machine.items()), ""]
    lines += [
        "| part | ran | state | seconds | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in sorted(rows, key=lambda one: one.state == PASSED):
        text = row.text.replace("|", "\\|")
        lines.append(
            f"| {row.part} | {row.name} | {row.state} | {row.seconds:.1f} "
            f"| {text} |"
        )
    return "\n".join(lines) + "\n"


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)
