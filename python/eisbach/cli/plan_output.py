"""What `eisbach plan` prints, and the files that it writes."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.cli import output_file

if TYPE_CHECKING:
    from eisbach.planning import Plan


@dataclass(frozen=True)
class Outputs:
    """Where a plan is written to, as the options of these names say.

    Attributes:
      json: `-` is standard output, in place of the table.
      html: One page.
      timeline: A picture of a step.
      trace: That step for Perfetto.
    """

    json: Path | None
    html: Path | None
    timeline: Path | None
    trace: Path | None

    @property
    def piped(self) -> bool:
        """Whether standard output is for JSON."""
        return self.json == Path("-")

    def check(self) -> None:
        """Refuses places before anything is computed for them.

        Raises:
          ValueError: One cannot be written, or is named twice.
        """
        known: dict[Path, str] = {}
        for option, path in self._files():
            suffix = {"--html": ".html", "--timeline": ".png"}
            output_file.check(option, path, suffix.get(option, ".json"))
            other = known.setdefault(path.resolve(), option)
            if other != option:
                raise ValueError(
                    f"{option} {path}: {other} names the same file"
                )

    def write(self, plan: Plan, *, rows: int) -> None:
        """Prints a plan and writes its files; none of them is ever half done.

        Args:
          plan: The plan.
          rows: How many layouts.

        Raises:
          ValueError: A file cannot be written, or nothing fits; then JSON is
            written nevertheless, and says so.
        """
        from eisbach.planning.constraints import constraints
        from eisbach.planning.document import document
        from eisbach.planning.misfit import nothing_fits
        from eisbach.planning.table import job, table

        fits = bool(plan.found.fitting)
        more = list(constraints(plan)) if fits else []
        told = _spell(document(plan, rows=rows, more=more))
        if self.piped:
            print(told, end="")
        elif fits:
            lines = table(plan, rows=rows, more=more, width=_columns())
            print("\n".join(lines))
        else:
            print("\n".join(job(plan, _columns())))
        makers = self._makers(plan, told, rows, more)
        files = list(self._files())
        shown = files if fits else [f for f in files if f[0] == "--json"]
        for option, path in shown:
            with output_file.written(option, path):
                makers[option](path)
        if not self.piped:
            for option, path in shown:
                print(f"{option.removeprefix('--')}: {path}")
        if not fits:
            left = [f"{o} {path}" for o, path in files if o != "--json"]
            raise ValueError(
                nothing_fits(plan)
                + (f"; not written: {', '.join(left)}" if left else "")
            )

    def _files(self) -> Iterator[tuple[str, Path]]:
        for name in ("json", "html", "timeline", "trace"):
            path = getattr(self, name)
            if path is not None and not (name == "json" and self.piped):
                yield f"--{name}", path

    def _makers(
        self, plan: Plan, told: str, rows: int, more: list[Any]
    ) -> dict[str, Callable[[Path], None]]:
        from eisbach.files import write_atomically
        from eisbach.planning.page import page
        from eisbach.planning.timeline import draw
        from eisbach.planning.trace import trace

        return {
            "--json": lambda path: write_atomically(path, told),
            "--html": lambda path: write_atomically(
                path, page(plan, rows=rows, more=more)
            ),
            "--timeline": lambda path: draw(path, plan),
            "--trace": lambda path: write_atomically(
                path, _spell(trace(plan), indent=None)
            ),
        }


def _columns() -> float:
    """Of the terminal; a file has room for any line."""
    if not sys.stdout.isatty():
        return math.inf
    return shutil.get_terminal_size().columns


def _spell(told: dict[str, Any], *, indent: int | None = 2) -> str:
    return json.dumps(told, indent=indent, allow_nan=False) + "\n"
