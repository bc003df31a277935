"""A process that makes tokens: `python -m eisbach.data.worker`.

It reads what is to be done and then lists from its standard input, and writes
what becomes of each list, or the error, to its standard output. It ends
when the input does, so also when the process that started it is gone.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys


def main() -> None:
    """Serves one process."""
    # Ctrl-C reaches all processes of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    tasks = sys.stdin.buffer

    try:
        work = pickle.load(tasks)
        while True:
            group = pickle.load(tasks)
            try:
                found = work(group)
            except Exception as error:
                found = error
            pickle.dump(found, answers, protocol=pickle.HIGHEST_PROTOCOL)
            answers.flush()
    except (EOFError, BrokenPipeError):
        pass


if __name__ == "__main__":
    main()
