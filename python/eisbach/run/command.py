"""The command line of a job that is started again and again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_RESUME = "--resume"
_AUTO = "--auto-resume"


class TrainCommand:
    """A launcher's command line with `eisbach train` in it.

    Attributes:
      launcher: What stands before the program: `mpirun` and its options; empty
        where there is none.
      arguments: Of `eisbach train`.
    """

    def __init__(self, words: Sequence[str]):
        """Finds the parts.

        Raises:
          ValueError: There is no `eisbach train` in it.
        """
        end = _find_train(words)
        start = end - 1
        if words[start] == "eisbach" and start and words[start - 1] == "-m":
            start -= 2
        self.launcher = list(words[:start])
        self._program = list(words[start : end + 1])
        self.arguments = list(words[end + 1 :])

    def start(self) -> list[str]:
        """Words of the first start: what was given, but that it goes on."""
        words = [*self.launcher, *self._program, *self.arguments]
        if self._resumed() is None and _AUTO not in self.arguments:
            words.append(_AUTO)
        return words

    def go_on(self, folder: Path) -> None:
        """Lets later starts go on from the newest checkpoint of a folder.

        What was given may name one of its checkpoints, or a link to it.
        """
        at = self._resumed()
        if at is None:
            return
        if self.arguments[at] == _RESUME:
            self.arguments[at + 1] = str(folder)
        else:
            self.arguments[at] = f"{_RESUME}={folder}"

    def _resumed(self) -> int | None:
        """Where it names a run to go on with."""
        for i, word in enumerate(self.arguments):
            if word == _RESUME or word.startswith(f"{_RESUME}="):
                return i
        return None


def _find_train(words: Sequence[str]) -> int:
    for i, word in enumerate(words[1:], 1):
        if word == "train" and Path(words[i - 1]).name == "eisbach":
            return i
    raise ValueError(
        f"{' '.join(words)}: there is no `eisbach train` in it, which alone "
        "can be started again, as in `eisbach run -- mpirun -n 2 eisbach train "
        "FILE`"
    )
