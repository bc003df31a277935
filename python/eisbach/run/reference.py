"""What a model is measured against where it learns from pairs of answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.meter import Meter

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.config import Config

_PARTS = ("train", "validation")


class PairReference:
    """The model before its first step, as far as pairs ask for it.

    Nothing is done where the next token is learned, or where the reference is
    the model without its adapters (`dpo.reference: base`).
    """

    def __init__(
        self, config: Config, corpora: Sequence[_C.Corpus | None], identity: str
    ):
        """Measures nothing yet.

        Args:
          config: With no `auto`.
          corpora: Pairs for training and for validation; None for none.
          identity: Of the run, to which what is measured is bound.
        """
        wanted = (
            config.train.objective == "dpo" and config.dpo.reference == "start"
        )
        self._corpora = [
            (name, corpus)
            for name, corpus in zip(_PARTS, corpora, strict=True)
            if wanted and corpus
        ]
        self._identity = identity
        self._measured = False

    def measure(self, engine: _C.Engine, *, tells: bool) -> None:
        """Measures all pairs by the weights of now; collective.

        Args:
          engine: Of the run.
          tells: Whether this rank says what it does.
        """
        from eisbach import _C

        for name, corpus in self._corpora:
            if not tells:
                _C.measure_reference(engine, corpus, lambda done, count: None)
                continue
            pairs = corpus.epoch_samples
            print(
                f"measuring the reference on {pairs:,} pairs (data.{name}, "
                "dpo.reference=start)",
                flush=True,
            )
            with Meter(pairs, unit="pairs") as meter:
                _C.measure_reference(
                    engine, corpus, lambda done, count, m=meter: m.show(done)
                )
        self._measured = True

    def read(self, folder: Path) -> None:
        """Takes what was measured before the first step of a run.

        Raises:
          ValueError: It is damaged, or of another model or other pairs.
        """
        for name, corpus in self._corpora:
            corpus.read_reference(_path(folder, name), bound_to=self._identity)

    def write(self, folder: Path) -> None:
        """Keeps what was measured; nothing where it was read."""
        if not self._measured:
            return
        for name, corpus in self._corpora:
            corpus.write_reference(_path(folder, name), bound_to=self._identity)


def _path(folder: Path, name: str) -> str:
    return str(folder / f"reference.{name}")
