"""`eisbach doctor`: what is here, what is missing, how to get it."""

from __future__ import annotations

import typer


def command() -> None:
    """Print versions, CPU features and MPI; say what is missing.

    The exit status is 1 when something is missing that training needs.

    Example: `eisbach doctor`
    """
    from eisbach.doctor import examine

    missing = 0
    for finding in examine():
        mark = (
            "ok  "
            if not finding.remedy
            else ("FAIL" if finding.needed else "note")
        )
        print(f"{mark}  {finding.name:<12} {finding.value}")
        if finding.remedy:
            print(f"      {'':<12} -> {finding.remedy}")
        missing += bool(finding.remedy and finding.needed)
    if missing:
        raise typer.Exit(1)
