"""A bar on the terminal: how much has been read."""

from __future__ import annotations

import time
from types import TracebackType

_EVERY_SECONDS = 0.1


class Meter:
    """Shows progress on standard error, where that is a terminal."""

    def __init__(self, total: int | None, *, unit: str = "bytes"):
        """Opens the bar.

        Args:
          total: Bytes to read; None where nobody knows.
          unit: What is counted, if it is no bytes.
        """
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        counts = [DownloadColumn(), TransferSpeedColumn()]
        if unit != "bytes":
            counts = [MofNCompleteColumn(), TextColumn(unit)]

        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._bar = Progress(
            BarColumn(20),
            *counts,
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._shown = self._console.is_terminal
        self._task = self._bar.add_task("", total=total)
        self._next = 0.0

    def __enter__(self) -> Meter:
        if self._shown:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            self._bar.stop()

    def show(self, done: int) -> None:
        """Shows how many bytes have been read, or what else is counted."""
        if self._shown and (now := time.monotonic()) >= self._next:
            self._next = now + _EVERY_SECONDS
            self._bar.update(self._task, completed=done)

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        self._console.print(f"note: {line}", markup=False)
