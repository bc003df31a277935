"""Runs named cases one after another, and tells what came of them."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any


def choose(
    cases: Sequence[Any], *, program: str, description: str, absent: list[str]
) -> list[Any]:
    """Reads the command line; ends where the system lacks a command.

    Args:
      cases: All there are, each with a `name`.
      program: What to call the script.
      description: Of it.
      absent: Commands that it needs and that are not there.

    Returns:
      Those that --only names, or all.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", action="append", default=[])
    only = parser.parse_args().only
    if absent:
        print(f"{program}: no command {', '.join(absent)}", file=sys.stderr)
        sys.exit(2)
    # What was made goes, also where this is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return [c for c in cases if not only or any(w in c.name for w in only)]


def run_all(
    cases: Sequence[Any],
    run: Callable[[Any], Any],
    table: Callable[[Sequence[Any]], str],
) -> list[Any]:
    """Runs each, and prints its line and its faults at once."""
    results = []
    for case in cases:
        result = run(case)
        results.append(result)
        print(table([result]).splitlines()[-1], flush=True)
        for fault in result.faults:
            print(f"  FAULT {fault}", flush=True)
    return results


def conclude(
    results: Sequence[Any], table: Callable[[Sequence[Any]], str], noun: str
) -> int:
    """Prints all of it once more; returns the exit status."""
    print(f"\n{table(results)}")
    count = sum(bool(result.faults) for result in results)
    print(f"\n{noun}: {len(results)}, with faults: {count}")
    return int(bool(count))
