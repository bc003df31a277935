"""What goes wrong inside a rank: spikes and bits, planted from outside.

The product has no way in: a library and a module that are loaded before it
(scripts/torture/inside) do as they are told by files.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from torture.job import HASH_EVERY, SPIKE_WINDOW, Job

INSIDE = Path(__file__).with_name("inside")
# Longer than the start of a job takes, on a machine that does more.
_PATIENCE_SECONDS = 120.0
# In which a run tells of a fault after the step that comes next.
TOLD_SECONDS = 10.0
_DIFFER = re.compile(
    r"error: step (?P<found>\d+): ranks? (?P<who>.*?) "
    r"(?:holds? other bits than|should hold the same bits)"
)
_NAMED = re.compile(r"(\d+) \(")
_FROM = re.compile(r"starts again from step (\d+)")


def inside(folder: Path) -> dict[str, str]:
    """Builds the library; returns what a job needs in its environment.

    Args:
      folder: For the library.
    """
    library = folder / "wrong_gradient.so"
    source = INSIDE / "wrong_gradient.c"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"],
        check=True,
    )
    return {
        name: ":".join(filter(None, (str(value), os.environ.get(name))))
        for name, value in (("LD_PRELOAD", library), ("PYTHONPATH", INSIDE))
    }


@dataclass(frozen=True)
class Planted:
    """What a rank has obeyed.

    Attributes:
      rank: Whose it is.
      step: In which it is wrong, or from which on.
      said: Bytes that the job had printed before.
      name: Of what is wrong.
    """

    rank: int
    step: int
    said: int
    name: str


@dataclass(frozen=True)
class Plant:
    """A way of making a rank wrong.

    Attributes:
      what: As scripts/torture/inside/sitecustomize.py takes it.
      value: The factor of a weight, or what is in a gradient.
      causes: What the ledger may say of it; empty where it says nothing.
    """

    what: str
    value: float = 0.0
    causes: tuple[str, ...] = ()

    def strike(self, job: Job, draw: random.Random) -> bool:
        """Has a rank do it; False where there is nothing to break."""
        layout = job.layout
        if self.what == "bit" and layout.data * layout.tensor == 1:
            return False
        # The last stage has the weights that the loss comes from at once.
        stage = layout.ranks // layout.pipeline
        first = layout.ranks - stage if self.what == "last weight" else 0
        rank = draw.randrange(first, layout.ranks)
        said = job.said()
        order = job.orders / f"order-{rank}.json"
        scratch = job.orders / f"scratch-order-{rank}"
        scratch.write_text(
            json.dumps(
                {
                    "what": self.what,
                    "value": self.value,
                    "pick": draw.randrange(1 << 30),
                    "first": SPIKE_WINDOW + 2,
                    "last": job.steps - HASH_EVERY,
                }
            )
        )
        scratch.rename(order)
        done = job.orders / f"done-{rank}.json"
        end = time.monotonic() + _PATIENCE_SECONDS
        while not done.exists():
            if job.status is not None or time.monotonic() > end:
                order.unlink(missing_ok=True)
                if not done.exists():
                    return False
                break
            time.sleep(0.002)
        answer = json.loads(done.read_text())
        done.unlink()
        job.planted = Planted(rank, said=said, **answer)
        return answer["step"] is not None

    def told(self, job: Job) -> list[str]:
        """What should have been said of it, and was not."""
        planted = job.planted
        assert planted
        look = _ledger_lacks if self.causes else _words_lack
        end = time.monotonic() + TOLD_SECONDS
        while (lacks := look(self, job, planted)) and time.monotonic() < end:
            time.sleep(0.05)
        return lacks


def _ledger_lacks(plant: Plant, job: Job, planted: Planted) -> list[str]:
    """A step that was computed again because of a fault of the machine."""
    lines = [
        line for line in job.told("ledger.jsonl")
        if line["step"] == planted.step
    ]  # fmt: skip
    if any(
        line["outcome"] == "recomputed"
        and line["cause"] in plant.causes
        and "a fault of the machine" in line["why"]
        for line in lines
    ):
        return []
    return [f"{plant.what} of {planted} is in the ledger as {lines}"]


def _words_lack(plant: Plant, job: Job, planted: Planted) -> list[str]:
    """The rank, or the two that differ, and a start from before the fault."""
    words = job.log.read_bytes()[planted.said :].decode(errors="replace")
    differ, goes_on = _DIFFER.search(words), _FROM.search(words)
    if not differ or not goes_on:
        return [f"a bit of {planted}: nobody says that ranks differ"]
    lacks = []
    named = [int(rank) for rank in _NAMED.findall(differ["who"])]
    alone = job.layout.data > 2
    if planted.rank not in named or (alone and named != [planted.rank]):
        lacks.append(f"a bit of {planted}: {differ[0]}")
    if not planted.step <= int(differ["found"]) < planted.step + HASH_EVERY:
        lacks.append(f"a bit of {planted} was found in step {differ['found']}")
    if int(goes_on[1]) >= planted.step:
        lacks.append(f"a bit of {planted}: goes on from step {goes_on[1]}")
    return lacks


NAN_WEIGHT = Plant("weight", float("nan"), ("loss_not_finite",))
# Of the other sign: logits of what never comes would only sink further.
HUGE_WEIGHT = Plant("last weight", -1e3, ("loss_spike",))
NAN_GRADIENT = Plant("gradient", float("nan"), ("grad_norm_not_finite",))
HUGE_GRADIENT = Plant("gradient", 1e12, ("grad_norm_spike",))
WRONG_BIT = Plant("bit")
