"""Loaded by every Python of a job that is broken: its ranks obey orders.

PYTHONPATH names the folder of this file, EISBACH_TORTURE_ORDERS one in which
scripts/torture/planting.py leaves an order, `order-RANK.json`:

    {"what": "weight" | "last weight" | "gradient" | "bit", "value": 50.0,
     "pick": 7, "first": 12, "last": 280}

Before a step from `first` to `last` the rank makes a weight wrong for that
step, or the sum of a gradient, or turns a bit of a weight over for good, and
says so in `done-RANK.json`: {"step": 30, "name": "blocks.1.mlp.up.weight"}.
After `last`, or where there is nothing to break, the step is null. `pick`
chooses among weights and bits; `value` is the factor of a weight, or what the
gradient gets.
"""

import ctypes
import importlib.abc
import importlib.util
import json
import os
import sys
from pathlib import Path

_MANTISSA_BITS = 23  # of f32: what is turned over there is no spike


class _Planter:
    """Plants what a rank is told to, and takes it away."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._taken = []

    def before_step(self, job):
        """Obeys an order, if there is one."""
        rank, step = job.world.rank, job.train.step + 1
        path = self._folder / f"order-{rank}.json"
        try:
            order = json.loads(path.read_text())
        except OSError:
            return
        if step < order["first"]:
            return
        path.unlink()
        name = None if step > order["last"] else self._plant(job, order)
        told = {"step": step if name else None, "name": name}
        scratch = self._folder / f"scratch-{rank}"
        scratch.write_text(json.dumps(told))
        scratch.rename(self._folder / f"done-{rank}.json")

    def put_back(self):
        """Gives weights back what they were."""
        while self._taken:
            array, saved = self._taken.pop()
            array[:] = saved

    def _plant(self, job, order):
        if order["what"] == "gradient":
            value = ctypes.c_float(order["value"])
            ctypes.CDLL(None).eisbach_torture_wrong_gradient(value)
            return "a gradient"
        weights = [
            p for p in job.engine.parameters if p.name.endswith("weight")
        ]
        if order["what"] == "bit":
            return self._turn(job, weights, order["pick"])
        pick = -1 if order["what"] == "last weight" else order["pick"]
        weight = weights[pick % len(weights)]
        array = weight.master.numpy()
        self._taken.append((array, array.copy()))
        array *= array.dtype.type(order["value"])
        return weight.name

    def _turn(self, job, weights, pick):
        context = job.context
        if context.data.size == 1:
            # Tensor ranks divide matrices.
            weights = [w for w in weights if len(w.shape) == 1]
            if context.tensor.size == 1:
                return None
        weight = weights[pick % len(weights)]
        words = weight.master.numpy().view("uint32").reshape(-1)
        words[pick % len(words)] ^= 1 << pick % _MANTISSA_BITS
        return weight.name


def _break(training, planter):
    """Has a rank look for orders before each step."""

    class Saver(training.Saver):
        def asks(self):
            super().asks()
            planter.before_step(self._job)

    class Collector(training.Collector):
        def but(self, lag):
            planter.put_back()
            super().but(lag)

    training.Saver, training.Collector = Saver, Collector


class _Hook(importlib.abc.MetaPathFinder):
    """Finds the training loop, once, and changes it when it is loaded."""

    def find_spec(self, name, path, target=None):
        if name != "eisbach.training":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            _break(module, _Planter(os.environ["EISBACH_TORTURE_ORDERS"]))

        spec.loader.exec_module = exec_module
        return spec


if "EISBACH_TORTURE_ORDERS" in os.environ:
    sys.meta_path.insert(0, _Hook())
