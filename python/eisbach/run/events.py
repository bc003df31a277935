"""TensorBoard events."""

from __future__ import annotations

import contextlib
import os
import secrets
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eisbach.files import create, make_folder
from eisbach.run.metrics import StepMetrics, ValidationMetrics

_FLUSH_SECONDS = 10.0


@contextlib.contextmanager
def _without_torch() -> Iterator[None]:
    """Hides PyTorch from tensorboardX, which would load it for seconds."""
    loaded = "torch" in sys.modules
    if not loaded:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not loaded:
            del sys.modules["torch"]


class EventWriter:
    """Writes the same figures as the `.jsonl` files for TensorBoard.

    In the thread that calls it: tensorboardX's own thread dies of a full disk
    without a word, and whoever then waits for its queue waits for ever.
    """

    def __init__(self, folder: Path, *, first: int = 0):
        """Opens a file of events.

        Args:
          folder: Made if it does not exist.
          first: Step after which a resumed run goes on; TensorBoard hides
            what an earlier file says of later steps, of a run that starts
            over as well.

        Raises:
          OSError: The file cannot be made or written; so do all methods.
        """
        with _without_torch():
            from tensorboardX.proto import event_pb2, summary_pb2
            from tensorboardX.record_writer import masked_crc32c

        self._checksum = masked_crc32c
        self._event = event_pb2.Event
        self._summary = summary_pb2.Summary
        make_folder(folder)
        again = any(folder.iterdir())
        # The form of the name that TensorBoard looks for.
        path = folder / (
            f"events.out.tfevents.{int(time.time())}.{os.uname().nodename}"
            f".{first}.{secrets.token_hex(4)}"
        )
        self._file = create(path)
        self._waiting = bytearray()
        self._add(file_version="brain.Event:2")
        if first or again:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._add(step=first + 1, session_log=start)
        self._flush()

    def write(self, now: StepMetrics | ValidationMetrics) -> None:
        """Adds one scalar for each figure."""
        group = "train" if isinstance(now, StepMetrics) else "validation"
        values = [
            self._summary.Value(tag=f"{group}/{name}", simple_value=value)
            for name, value in asdict(now).items()
            if name != "step" and isinstance(value, (int, float))
        ]
        self._add(step=now.step, summary=self._summary(value=values))
        if time.monotonic() >= self._flushed + _FLUSH_SECONDS:
            self._flush()

    def close(self) -> None:
        """Writes what is left; a second time does nothing."""
        self._flush()
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _add(self, **fields: Any) -> None:
        event = self._event(wall_time=time.time(), **fields)
        data = event.SerializeToString()
        length = struct.pack("<Q", len(data))
        # https://www.tensorflow.org/tutorials/load_data/tfrecord
        for part in (length, data):
            self._waiting += part
            self._waiting += struct.pack("<I", self._checksum(part))

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        try:
            while self._waiting:
                del self._waiting[: os.write(self._file, self._waiting)]
        except OSError:
            os.close(self._file)
            self._file = -1
            raise
