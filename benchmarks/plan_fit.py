"""Fits the planner's coefficients to the published steps that are for it.

Coefficients that have no figure in a data sheet are moved, one after another
and by ever smaller steps, to where the mean error of the logarithm of the step
is least, each source counting alike. Prints what to write into the `ops`,
`domain` and `network` sections of `configs/hardware`:

    python benchmarks/plan_fit.py A100
    python benchmarks/plan_fit.py H100

Cases marked `check` are not looked at.
"""

import argparse
import math
import sys
from collections import defaultdict

from plan_accuracy import MACHINES, Case, foretell, read_cases, record

# Coefficient, where it starts, and whether it is a share (at most 1).
COEFFICIENTS = {
    "matmul.half_inner": (200.0, False),
    "ops.attention_forward": (0.5, True),
    "ops.attention_backward": (0.4, True),
    "ops.memory_fraction": (0.8, True),
    "ops.kernel_gap_us": (3.0, False),
    "ops.host_launch_us": (30.0, False),
    "ops.shared_by_collectives": (0.1, True),
    "domain.fraction": (0.75, True),
    "domain.latency_us": (10.0, False),
    "network.fraction": (0.7, True),
    "network.latency_us": (20.0, False),
}


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
    args = parser.parse_args()
    from eisbach.hardware import changed, machine_of, read_hardware

    names = {m for gpu, m in MACHINES.items() if gpu.startswith(args.gpu)}
    files = {name: read_hardware(name) for name in names}
    cases, _ = read_cases("fit", "")
    steps: list[tuple[Case, object]] = []
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

    def errors(values: dict[str, float]) -> dict[str, list[float]]:
        machines = {
            name: machine_of(changed(file, values))
            for name, file in files.items()
        }
        found = defaultdict(list)
        for case, step in steps:
            seconds = foretell(case, step, machines[case.machine])
            found[case.group].append(math.log(seconds / case.seconds))
        return found

    def loss(values: dict[str, float]) -> float:
        means = [
            sum(map(abs, some)) / len(some) for some in errors(values).values()
        ]
        return sum(means) / len(means)

    values = {name: start for name, (start, _) in COEFFICIENTS.items()}
    fixed = dict(pair.split("=") for pair in args.fixed)
    values |= {name: float(value) for name, value in fixed.items()}
    best = loss(values)
    factor = 1.6
    for _ in range(args.rounds):
        for name, (_, share) in COEFFICIENTS.items():
            if name in fixed:
                continue
            for way in (factor, 1 / factor):
                while True:
                    tried = dict(values)
                    tried[name] *= way
                    if share and tried[name] > 1:
                        break
                    if (now := loss(tried)) >= best - 1e-6:
                        break
                    best, values = now, tried
        print(f"{factor:.3f}: {best:.4f}", file=sys.stderr)
        factor = math.sqrt(factor)
    for name, value in values.items():
        print(f"{name}: {value:.4g}")
    for group, some in sorted(errors(values).items()):
        size = sum(map(abs, some)) / len(some)
        print(f"{group}: {len(some)} cases, {size:.1%}, bias "
              f"{sum(some) / len(some):+.1%}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
