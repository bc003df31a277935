"""How a command fails: the cause once, a non-zero exit, no rank left."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from eisbach.cli import is_interrupt
from eisbach.run import output
from eisbach.run.agreement import CAUSES, spell
from eisbach.run.end_file import tell_refused
from eisbach.run.process import abort, announce_failure, launcher_rank
from eisbach.run.statuses import ERROR, killed_by

# What all ranks see, rank 0 tells; this long the others wait for that.
_GRACE_SECONDS = 3.0


def tell(error: BaseException) -> None:
    """Prints the cause: a line for what a user can mend, else the trace."""
    rank = launcher_rank()
    where = f"rank {rank}: " if rank else ""
    misused = hasattr(error, "format_message")
    if misused and not str(error):  # the help has been printed
        return
    known = misused or isinstance(error, CAUSES)
    if known and not os.environ.get("EISBACH_TRACEBACK"):
        # That of a misused option names it.
        cause = _with_value(error) if misused else spell(error)
        output.tell(f"eisbach: error: {where}{cause}")
    else:
        trace = "".join(traceback.format_exception(error)).rstrip()
        output.tell(f"eisbach: {where}failed\n{trace}")


def _with_value(error: Any) -> str:
    """Returns what is wrong with an option, its value, and one that works."""
    message = error.format_message()
    rule = error.__context__
    if not hasattr(rule, "errors") or getattr(error, "param", None) is None:
        return message
    broken = rule.errors()[0]
    given = str(broken["input"])
    head, colon, rest = message.partition(": ")
    if said := _rule(broken):
        return f"{head}{colon}{given}: {said}"
    if repr(given) in rest:
        return message
    return f"{head}{colon}{given}: {rest}"


def _rule(broken: dict[str, Any]) -> str:
    """Spells the rule that a number breaks, as pydantic tells it; else ""."""
    if str(broken["input"]).strip("+- ").lower() == "nan":  # near no bound
        return "must be a number"
    for name, sign in (("ge", ">="), ("le", "<=")):
        if name in broken.get("ctx", {}):
            bound = f"{broken['ctx'][name]:.15g}"
            return f"must be {sign} {bound}; nearest that works: {bound}"
    if broken["type"].startswith("int_"):
        return "must be an integer"
    return "must be a number" if broken["type"].startswith("float_") else ""


@contextmanager
def told_once() -> Iterator[None]:
    """Turns an exception into its cause on stderr and exit status 1.

    When every rank fails for the same reason only rank 0 says so: the others
    wait for a moment, in which rank 0 takes them down.
    """
    try:
        yield
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os._exit(1)
    except Exception as error:
        if is_interrupt(error):
            raise
        if launcher_rank():
            time.sleep(_GRACE_SECONDS)
        if isinstance(error, ValueError) or hasattr(error, "format_message"):
            tell_refused()
        announce_failure()
        tell(error)
        abort(getattr(error, "exit_code", ERROR))


def interrupted() -> NoReturn:
    """Ends what Ctrl-C has stopped, with a word and status 130."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough
    if not launcher_rank():
        output.tell("eisbach: stopped by SIGINT")
    abort(killed_by(signal.SIGINT))
