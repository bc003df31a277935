"""Where descriptions of machines lie, and how they are read."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from eisbach.config.errors import ConfigError, Problem
from eisbach.config.file import read_file
from eisbach.config.problems import validate
from eisbach.hardware.sections import HardwareFile

# What `eisbach plan --calibrate` makes.
THIS_MACHINE = "this-machine"


def folder() -> Path:
    """Where the files are that come with the package."""
    return Path(__file__).parents[1] / "hardware_files"


def own_folder() -> Path:
    """Where this user's are: of machines that were measured."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "eisbach" / "hardware"


def machine_name(threads: int) -> str:
    """What this machine is called with ranks of so many threads."""
    return THIS_MACHINE if threads == 1 else f"{THIS_MACHINE}-{threads}-threads"


def known() -> list[str]:
    """The names of the files of the package."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def path_of(name: str) -> Path | None:
    """The file of a name, of the package's before this user's; None: none."""
    for place in (folder(), own_folder()):
        path = place / f"{name}.yaml"
        if path.is_file():
            return path
    return None


def _unknown(name: str) -> str:
    if name.startswith(THIS_MACHINE):
        return "was not measured yet; `eisbach plan --calibrate` does so"
    names = known() + sorted(path.stem for path in own_folder().glob("*.yaml"))
    near = [k for k in names if k.startswith(name)]
    near += difflib.get_close_matches(name, names, 1, 0.3)
    offer = f"; did you mean {near[0]}?" if near else "."
    return (
        f"there is no machine of that name{offer} Known are "
        f"{', '.join(names)}, and files by their path"
    )


def read_hardware(name: str, *, asked_by: str = "--hardware") -> HardwareFile:
    """Reads the description of a machine.

    Args:
      name: One of `known()`, of `own_folder()`, or the path of a file.
      asked_by: The option or key that names it.

    Raises:
      ConfigError: There is none, or it is not right; it names every place that
        is wrong at once.
    """
    path = Path(name)
    if path.suffix != ".yaml" and not path.exists():
        found = path_of(name)
        if not found:
            raise ConfigError([Problem(name, asked_by, _unknown(name))])
        path = found
    tree = read_file(str(path), section="chip")
    # What is missing is missing from the file.
    tree.origins[()] = str(path)
    file, problems = validate(tree, HardwareFile)
    if file is None:
        raise ConfigError(problems)
    return file
