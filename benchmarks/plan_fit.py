"""Fits the planner's coefficients to the published steps that are for it.

Coefficients that have no figure in a data sheet are moved from what the file
says, one after another and by ever smaller steps, to where the mean error of
the logarithm of the step is least, each source counting alike. Prints what to
write into the `ops`, `domain` and `network` sections of `configs/hardware`:

    python benchmarks/plan_fit.py A100
    python benchmarks/plan_fit.py H100
    python benchmarks/plan_fit.py GB200 --apart

With `--apart` each model is also foretold by coefficients that were fitted to
the others: an error for machines of which there are no other cases. Cases
marked `check` are not looked at.
"""

import argparse
import math
import statistics
import sys
from collections import defaultdict
from typing import TYPE_CHECKING

from plan_accuracy import MACHINES, Case, foretell, read_cases, record

if TYPE_CHECKING:
    from eisbach import _C

# Coefficient, and whether it is a share (at most 1).
COEFFICIENTS = {
    "matmul.half_inner": False,
    "ops.attention_forward": True,
    "ops.attention_backward": True,
    "ops.memory_fraction": True,
    "ops.kernel_gap_us": False,
    "ops.host_launch_us": False,
    "ops.shared_by_collectives": True,
    "domain.fraction": True,
    "domain.latency_us": False,
    "network.fraction": True,
    "network.latency_us": False,
}


Step = tuple[Case, "_C.RecordedStep"]


class Fit:
    """Coefficients that are moved to where steps are foretold best."""

    def __init__(
        self, files: dict, free: list[str], rounds: int, told: bool
    ) -> None:
        """Starts from files of hardware, by the names of the machines."""
        self._files = files
        self._free = free
        self._rounds = rounds
        self._told = told

    def errors(
        self, steps: list[Step], values: dict[str, float]
    ) -> dict[str, list[float]]:
        """Logarithms of foretold by measured seconds, by source."""
        from eisbach.hardware import changed, machine_of

        machines = {
            name: machine_of(changed(file, values))
            for name, file in self._files.items()
        }
        found = defaultdict(list)
        for case, step in steps:
            seconds = foretell(case, step, machines[case.machine])
            found[case.group].append(math.log(seconds / case.seconds))
        return found

    def _loss(self, steps: list[Step], values: dict[str, float]) -> float:
        means = [
            sum(map(abs, some)) / len(some)
            for some in self.errors(steps, values).values()
        ]
        return sum(means) / len(means)

    def best(
        self, steps: list[Step], values: dict[str, float]
    ) -> dict[str, float]:
        """Where the loss is least."""
        best = self._loss(steps, values)
        factor = 1.6
        for _ in range(self._rounds):
            for name in self._free:
                for way in (factor, 1 / factor):
                    while True:
                        tried = dict(values)
                        tried[name] *= way
                        if COEFFICIENTS[name] and tried[name] > 1:
                            break
                        if (now := self._loss(steps, tried)) >= best - 1e-6:
                            break
                        best, values = now, tried
            if self._told:
                print(f"{factor:.3f}: {best:.4f}", file=sys.stderr)
            factor = math.sqrt(factor)
        return values


def main() -> int:
    """Prints coefficients."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("gpu", help="cases whose gpu begins so")
    parser.add_argument("--fixed", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--skip", nargs="*", default=[], help="sources")
    parser.add_argument("--most", type=int, default=60,
                        help="cases of a source, evenly chosen")  # fmt: skip
    parser.add_argument("--apart", action="store_true",
                        help="foretell each model by the others")  # fmt: skip
    args = parser.parse_args()
    from eisbach.hardware import read_hardware

    names = {m for gpu, m in MACHINES.items() if gpu.startswith(args.gpu)}
    files = {name: read_hardware(name) for name in names}
    cases, _ = read_cases("fit", "")
    steps: list[Step] = []
    sources = defaultdict(list)
    for case in cases:
        if case.machine in names and case.group not in args.skip:
            sources[case.group].append(case)
    for case in [
        case
        for some in sources.values()
        for case in some[:: math.ceil(len(some) / args.most)]
    ]:
        try:
            steps.append((case, record(case)))
        except ValueError as error:
            print(f"{case.id}: {str(error)[:100]}", file=sys.stderr)
    print(f"{len(steps)} cases", file=sys.stderr)

    start = {}
    for name in COEFFICIENTS:
        section, _, key = name.partition(".")
        start[name] = getattr(getattr(files[min(files)], section), key)
    fixed = dict(pair.split("=") for pair in args.fixed)
    start |= {name: float(value) for name, value in fixed.items()}
    free = [name for name in COEFFICIENTS if name not in fixed]
    fit = Fit(files, free, args.rounds, told=True)
    values = fit.best(steps, start)
    for name, value in values.items():
        print(f"{name}: {value:.4g}")
    for group, some in sorted(fit.errors(steps, values).items()):
        size = sum(map(abs, some)) / len(some)
        print(f"{group}: {len(some)} cases, {size:.1%}, bias "
              f"{sum(some) / len(some):+.1%}")  # fmt: skip
    if args.apart:
        foretell_apart(Fit(files, free, args.rounds, told=False), steps, start)
    return 0


def foretell_apart(
    fit: Fit, steps: list[Step], start: dict[str, float]
) -> None:
    """Prints the errors of each model with coefficients of the others."""
    models = defaultdict(list)
    for step in steps:
        # One that was published several times is one.
        sizes = ("model.layers=", "model.hidden=")
        keys = [k for k in step[0].overrides if k.startswith(sizes)]
        models[" ".join(keys)].append(step)
    apart = []
    for model, own in models.items():
        others = [step for step in steps if step not in own]
        found = fit.errors(own, fit.best(others, start)).values()
        errors = sorted(abs(math.expm1(e)) for some in found for e in some)
        apart += errors
        print(f"{model} by the others: {len(own)} cases, median "
              f"{statistics.median(errors):.1%}")  # fmt: skip
    apart.sort()
    print(f"by the others: median {statistics.median(apart):.3f}, p90 "
          f"{apart[math.ceil(0.9 * len(apart)) - 1]:.3f}")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
