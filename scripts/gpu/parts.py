"""What is run on a GPU, in order of worth, and how long each part may take."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpu.bundle import Bundle, Test
from gpu.machine import Gpu, find_tool

ONE_DEVICE = "train_one_device_test"
# They launch the kernels of the other cases many hundred times more.
_FINITE_DIFFERENCES = ":*FiniteDifferences*:*IsTheGradient*"
_SHAPES = {
    "124 M": {
        "layers": 12, "hidden": 768, "heads": 12, "context": 1024,
        "vocab": 50304, "batch": 16, "steps": 30,
    },
    "1.3 B": {
        "layers": 24, "hidden": 2048, "heads": 16, "context": 2048,
        "vocab": 50304, "batch": 4, "steps": 15,
    },
}  # fmt: skip

Figures = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A program, or why it cannot be run here.

    Attributes:
      name: Within its part.
      command: Program and arguments.
      environment: Added to this process's own.
      seconds: It may take, within what its part has left.
      missing: Why there is no program; empty if there is.
      read: Makes a line and figures of what it printed, once it has ended well.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 600.0
    missing: str = ""
    read: Callable[[str], tuple[str, Figures]] = lambda output: ("", {})


@dataclass(frozen=True)
class Part:
    """Jobs that belong together.

    Attributes:
      name: One word.
      seconds: All its jobs may take together.
      jobs: In order of worth.
      at_once: How many run side by side.
      all_needed: Whether a job that is cut off is a failure; else the part is
        as many of them as its time allows.
    """

    name: str
    seconds: float
    jobs: list[Job]
    at_once: int = 1
    all_needed: bool = True


def parts(bundle: Bundle, gpu: Gpu | None) -> list[Part]:
    """All parts; they take 520 s at most."""
    return [
        Part("tests", 170, _tests(bundle), at_once=4),
        Part("curves", 40, _curves(bundle)),
        Part("captured", 40, [_one_device(bundle, "Captured*", "same bits")]),
        Part("sanitizer", 80, _sanitizer(bundle), at_once=4, all_needed=False),
        Part("speed", 160, _speed(bundle, gpu)),
        Part("profile", 30, [_profile(bundle)]),
    ]


def _of_googletest(output: str) -> tuple[str, Figures]:
    passed = re.search(r"^\[  PASSED  \] ([1-9]\d* tests?)\.", output, re.M)
    if not passed:
        raise ValueError("no test ran")
    return passed[1], {}


def _test_environment(bundle: Bundle, test: Test) -> dict[str, str]:
    return {**test.environment, **bundle.environment()}


def _tests(bundle: Bundle) -> list[Job]:
    return [
        Job(
            test.name,
            [bundle.program(test.program), *test.arguments],
            _test_environment(bundle, test),
            read=_of_googletest,
        )
        for test in bundle.tests
        if test.program != ONE_DEVICE
    ]


def _one_device(bundle: Bundle, cases: str, name: str) -> Job:
    return Job(
        name,
        [bundle.program(ONE_DEVICE), f"--gtest_filter=*{cases}"],
        bundle.environment(),
        read=_of_googletest,
    )


def _curves(bundle: Bundle) -> list[Job]:
    alone = _one_device(bundle, "TrainsLikeTheCpu*", "alone")
    # A process joins MPI once: the name of a single case, without a star.
    case = "TrainsLikeTheCpu/gpt_1f1b_adamw_bf16"
    launched = _one_device(bundle, case, "under mpirun")
    mpirun = [bundle.program("mpirun"), "-n", "1", "--bind-to", "none"]
    return [
        alone,
        Job(
            launched.name, [*mpirun, *launched.command], launched.environment,
            read=launched.read,
        ),
    ]  # fmt: skip


def _sanitizer(bundle: Bundle) -> list[Job]:
    tool = find_tool("compute-sanitizer")
    jobs = []
    for kind in ("memcheck", "racecheck"):
        for test in bundle.tests:
            if not test.program.startswith("ops_"):
                continue
            arguments = [
                one + _FINITE_DIFFERENCES
                if one.startswith("--gtest_filter=-")
                else one
                for one in test.arguments
            ]
            jobs.append(
                Job(
                    f"{test.program} {kind}",
                    [
                        tool or "", "--tool", kind, "--error-exitcode", "99",
                        bundle.program(test.program), *arguments,
                    ],
                    {
                        **_test_environment(bundle, test),
                        "EISBACH_NO_CACHING_ALLOCATOR": "1",
                    },
                    missing="" if tool else "compute-sanitizer is not here",
                    read=_of_googletest,
                )
            )  # fmt: skip
    return jobs if tool else jobs[:1]


def _flags(sizes: Mapping[str, int]) -> list[str]:
    return [f"--{name}={value}" for name, value in sizes.items()]


def _ours(bundle: Bundle, shape: str, **more: int) -> list[str]:
    sizes = _SHAPES[shape]
    flags = _flags({**sizes, "micro_batch": sizes["batch"], **more})
    return [bundle.program("train_gpu"), *flags]


def _speed(bundle: Bundle, gpu: Gpu | None) -> list[Job]:
    peak = gpu.peak if gpu else None
    flops: dict[str, float] = {}  # of a token, as our program counts them

    def reader(shape: str) -> Callable[[str], tuple[str, Figures]]:
        def read(output: str) -> tuple[str, Figures]:
            figures = last_json(output)
            flops.setdefault(shape, figures.get("flops_per_token", 0.0))
            return rate(figures, flops[shape], peak)

        return read

    torch = importlib.util.find_spec("torch")
    ours = [
        Job(
            f"{shape} eisbach", _ours(bundle, shape), bundle.environment(),
            seconds=45, read=reader(shape),
        )
        for shape in _SHAPES
    ]  # fmt: skip
    peers = [
        Job(
            f"{shape} PyTorch compiled",
            [
                sys.executable, str(bundle.root / "peers" / "torch_gpt.py"),
                "--device", "cuda", "--dtype", "bf16", "--compile",
                *_flags(_SHAPES[shape]),
            ],
            seconds=75,
            missing="" if torch else f"{sys.executable} has no PyTorch",
            read=reader(shape),
        )
        for shape in _SHAPES
    ]  # fmt: skip
    return ours + peers


def last_json(output: str) -> Figures:
    """The last line that is a JSON object."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise ValueError("printed no figures")


def rate(
    figures: Figures, flops_per_token: float, peak: float | None
) -> tuple[str, Figures]:
    """Tokens a second, and the share of the GPU's peak.

    Args:
      figures: With `tokens` and `step_seconds`.
      flops_per_token: That the model needs; 0 where nobody knows.
      peak: FLOP/s by the data sheet; None for a GPU that is not listed.
    """
    speed = figures["tokens"] / figures["step_seconds"]
    done = {**figures, "tokens_per_second": speed}
    text = f"{speed:,.0f} tokens/s"
    if flops_per_token and peak:
        done["mfu"] = speed * flops_per_token / peak
        text += f", MFU {done['mfu']:.1%} of {peak / 1e12:.0f} TFLOP/s"
    matmul = figures.get("bf16_matmul_flops_per_second")
    if flops_per_token and matmul:
        share = speed * flops_per_token / matmul
        text += f", {share:.1%} of its matmuls ({matmul / 1e12:.1f} TFLOP/s)"
    memory = figures.get("peak_memory_bytes")
    if memory:
        text += f", {memory / 2**30:.1f} GiB"
    return text, done


def _profile(bundle: Bundle) -> Job:
    return Job(
        "124 M",
        _ours(bundle, "124 M", steps=6, profile=3),
        bundle.environment(),
        read=_of_profile,
    )


def _of_profile(output: str) -> tuple[str, Figures]:
    figures = last_json(output)
    profile = figures["profile"]
    shares = ", ".join(
        f"{name} {profile[name]:.0%}"
        for name in ("matmul", "attention", "other")
    )
    longest = ", ".join(
        f"{op['name']} {op['share']:.1%} ({op['of_peak']:.0%} of {op['bound']})"
        for op in profile["ops"][:6]
    )
    milliseconds = profile["step_seconds"] * 1e3
    return f"{milliseconds:.1f} ms a step: {shares}; {longest}", figures
