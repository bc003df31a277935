"""`eisbach train` with faults planted in it: a weight that is wrong for a step.

    planted.py FAULTS train CONFIG...

FAULTS is a JSON list of objects: `step`, `factor` of the last weight of a rank,
`rank` (all where there is none), `transient` where it is gone before the result
is collected, `flips` for a bit that stays turned over instead.
"""

import json
import runpy
import sys

import numpy as np

from eisbach import training
from eisbach.run.collector import Collector
from eisbach.run.saving import Saver

FAULTS = {fault["step"]: fault for fault in json.loads(sys.argv.pop(1))}
taken = []


def put_back() -> None:
    while taken:
        array, saved = taken.pop()
        array[:] = saved


class PlantedSaver(Saver):
    """Is asked before each step."""

    def asks(self):
        super().asks()
        engine = self._job.engine
        fault = FAULTS.get(self._job.train.step + 1)
        if not fault or fault.get("rank", self._job.world.rank) != (
            self._job.world.rank
        ):
            return
        weights = [p for p in engine.parameters if p.name.endswith("weight")]
        array = weights[-1].master.numpy()
        if fault.get("flips"):
            array.view(np.uint32).reshape(-1)[7] ^= 1 << 18
            return
        taken.append((array, array.copy()))
        array *= np.float32(fault["factor"])


class PlantedCollector(Collector):
    """Comes to a step's result after it was submitted."""

    def but(self, lag):
        fault = FAULTS.get(self._job.train.step)
        if fault and fault.get("transient"):
            put_back()
        super().but(lag)
        put_back()


training.Saver = PlantedSaver
training.Collector = PlantedCollector
runpy.run_module("eisbach", run_name="__main__", alter_sys=True)
