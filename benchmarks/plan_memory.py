"""Memory that others have published, beside what the planner's parts say of it.

What a program keeps for its backward is its own: Eisbach keeps less than those
that were measured, so `eisbach plan`'s figure, which is Eisbach's, cannot be
set beside theirs. What can be is all else: how many forwards a schedule has
alive on each stage (the core's simulator), and what a stage has of a model's
parameters. What a forward of one layer keeps in those programs is equation 1 of
Korthikanti et al. 2022 (arXiv:2205.05198) with its terms for tensor and
sequence parallelism and without the attention core; what a parameter costs is
told by the flags of their scripts:

- f16 without `--accumulate-allreduce-grads-in-fp32` (Zero Bubble,
  examples/pretrain_zero_bubble.sh): 2 + 2 bytes, and 12 of AdamW;
- bf16 with Megatron's distributed optimizer (its functional tests, gpt3_7b):
  2 + 4 bytes, and 12 divided over data ranks; the last rank reports;
- Korthikanti's Table 3: 18 bytes.

    python benchmarks/plan_memory.py
    python benchmarks/plan_memory.py --split all --each

Ends with 1 where the median error of the cases is above 5 %.
plan_accuracy.py prints the same table.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from published_cases import CASES, LeftOutError, group_of, number, rows_of

UNITS = {"GB/GPU": 1e9, "GiB/GPU": 2**30}
SCHEDULES = {"1F1B": "1f1b", "1F1B-I": "interleaved", "ZB-1p": "zero_bubble"}


@dataclass(frozen=True)
class Program:
    """How the program of a source keeps things.

    Attributes:
      parameter: Bytes of a parameter that every data rank keeps.
      divided: Bytes of a parameter that data ranks divide.
      fused: Attention's scores never reach memory.
      last: The last stage reports, not the fullest.
      short_ends: The first and last stage have a layer less than others.
    """

    parameter: int
    divided: int = 0
    fused: bool = False
    last: bool = False
    short_ends: bool = False


PROGRAMS = {
    "kortmem": Program(parameter=18),
    "megci": Program(parameter=6, divided=12, fused=True, last=True),
    "zbpp": Program(parameter=16, short_ends=True),
}


@dataclass(frozen=True)
class Job:
    """A model and its layout."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    vocab: int
    seq: int
    tensor: int
    stages: int
    chunks: int
    data: int
    micro: int
    micro_batches: int
    schedule: str
    selective: bool
    sequence: bool

    @property
    def layer_parameters(self) -> int:
        """Of a layer of GPT, of all tensor ranks."""
        kv = self.hidden * self.kv_heads // self.heads
        attention = 2 * self.hidden * (self.hidden + kv)
        return attention + 2 * self.hidden * self.ffn


def job_of(row: dict[str, str], program: Program) -> Job:
    """Reads a case."""
    hidden, heads = number(row, "hidden"), number(row, "heads")
    stages, chunks = number(row, "pp"), number(row, "vp", 1)
    words = row["source"].partition("[")[2].partition("]")[0].split(",")[0]
    if words and words not in SCHEDULES:
        raise LeftOutError(f"the schedule {words}, which we do not have")
    schedule = SCHEDULES.get(words, "interleaved" if chunks > 1 else "1f1b")
    layers = number(row, "layers")
    if schedule == "interleaved" and chunks == 1:
        # One layer a chunk, as their script has it.
        chunks = (layers + 2 * program.short_ends) // stages
    data = number(row, "dp", 1)
    micro = number(row, "micro_batch")
    batch = number(row, "global_batch", 3 * stages * data * micro)
    return Job(
        layers=layers,
        hidden=hidden,
        ffn=number(row, "ffn_hidden", 4 * hidden),
        heads=heads,
        kv_heads=number(row, "kv_heads", heads),
        vocab=number(row, "vocab", 51200),
        seq=number(row, "seq"),
        tensor=number(row, "tp"),
        stages=stages,
        chunks=chunks,
        data=data,
        micro=micro,
        micro_batches=batch // (data * micro),
        schedule=schedule,
        selective=row["recompute"] == "selective",
        sequence=row["sequence_parallel"] == "yes",
    )


def layer_activations(job: Job, program: Program) -> float:
    """Bytes that a forward of a micro-batch keeps for one layer, of a rank."""
    sbh = job.seq * job.micro * job.hidden
    kv = job.kv_heads / job.heads
    # Equation 1 divides its 34 into norms (4), inputs of the two halves (2 + 2)
    # and dropout masks (1 + 1), which tensor ranks all keep, and the rest.
    whole = 10
    divided = 4 + 4 * kv + 4 * job.ffn / job.hidden
    scores = 5 * job.heads * job.seq / job.hidden
    if program.fused or job.selective:
        scores = 0
    if job.sequence:
        whole /= job.tensor
    return sbh * (whole + (divided + scores) / job.tensor)


def alive(job: Job) -> list[float]:
    """Forwards of a whole stage that are alive at the most, of each stage."""
    from eisbach import _C

    run = _C.simulate_schedule(
        job.schedule,
        stages=job.stages,
        microbatches=job.micro_batches,
        chunks=job.chunks,
    )
    return [peak / job.chunks for peak in run.peak_activations]


def stage_layers(job: Job, program: Program) -> list[float]:
    """Layers of each stage."""
    if not program.short_ends:
        return [job.layers / job.stages] * job.stages
    found = [(job.layers + 2) / job.stages] * job.stages
    found[0] -= 1
    found[-1] -= 1
    return found


def foretell(job: Job, program: Program, metric: str) -> float:
    """Bytes of the rank that reports."""
    layers = stage_layers(job, program)
    embedding = job.vocab * job.hidden
    # Of the head: f32 logits, as its loss keeps them (section 4.3).
    logits = 4 * job.seq * job.micro * job.vocab / job.tensor
    found = []
    for stage, (mine, peak) in enumerate(zip(layers, alive(job), strict=True)):
        parameters = mine * job.layer_parameters
        kept = peak * mine * layer_activations(job, program)
        if stage == 0:
            parameters += embedding + job.seq * job.hidden
        if stage == job.stages - 1:
            parameters += embedding if job.stages > 1 or program.last else 0
            kept += logits
        bytes_each = program.parameter + program.divided / job.data
        states = bytes_each * parameters / job.tensor
        found.append({"mem_param_optim_state": states, "mem_activations": kept}
                     .get(metric, states + kept))  # fmt: skip
    return found[-1] if program.last else max(found)


def read_cases(
    split: str, path: Path
) -> tuple[list[tuple[dict[str, str], float, float]], Counter[str]]:
    """Rows, what was published of them and what is foretold, in bytes."""
    found, left = [], Counter()
    for row in rows_of(split, path):
        metric = row["measured_metric"]
        if not metric.startswith(("peak_mem", "mem_")):
            continue
        group = group_of(row)
        try:
            if group not in PROGRAMS:
                raise LeftOutError(f"{group}: what it keeps was not published")
            program = PROGRAMS[group]
            told = foretell(job_of(row, program), program, metric)
        except LeftOutError as error:
            left[str(error)] += 1
            continue
        value = float(row["measured_value"]) * UNITS[row["unit"]]
        found.append((row, value, told))
    return found, left


def report(split: str, path: Path = CASES, *, each: bool = False) -> float:
    """Prints the errors by source; returns the median of all, 0 of none."""
    cases, left = read_cases(split, path)
    errors = defaultdict(list)
    for row, value, told in cases:
        error = told / value - 1
        errors[f"{row['split']} {group_of(row)}"].append(error)
        if each:
            print(
                f"{row['id']:<14}{row['model']:<12}"
                f"{value / 2**30:>8.1f} GiB{told / 2**30:>8.1f} GiB"
                f"{error:>+8.1%}"
            )
    print(f"{'memory':<28}{'cases':>5}{'median':>9}{'most':>9}{'bias':>9}")
    every = [error for some in errors.values() for error in some]
    groups = sorted(errors.items())
    if every:
        groups.append(("all", every))
    for title, some in groups:
        sizes = [abs(error) for error in some]
        print(
            f"{title:<28}{len(some):>5}{statistics.median(sizes):>9.1%}"
            f"{max(sizes):>9.1%}{statistics.median(some):>+9.1%}"
        )
    for reason, count in left.most_common():
        print(f"left out, {count}: {reason}")
    return statistics.median(map(abs, every)) if every else 0.0


def main() -> int:
    """Prints the table; 1 where the target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--split", choices=["fit", "check", "all"],
                        default="check")  # fmt: skip
    parser.add_argument("--each", action="store_true", help="a line a case")
    parser.add_argument("--file", type=Path, default=CASES,
                        help="other cases, in the same columns")  # fmt: skip
    args = parser.parse_args()
    return int(report(args.split, args.file, each=args.each) > 0.05)


if __name__ == "__main__":
    sys.exit(main())
