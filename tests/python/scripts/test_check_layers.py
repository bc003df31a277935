import subprocess
import sys

import pytest


def run(repo, root):
    done = subprocess.run(
        [sys.executable, repo / "scripts" / "check_layers.py", root],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done


@pytest.fixture
def tree(repo, tmp_path):
    def check(file: str, *includes: str) -> str:
        path = tmp_path / "csrc" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"#include {name}\n" for name in includes)
        path.write_text("// A file.\n" + lines)
        done = run(repo, tmp_path)
        assert done.returncode == (0 if "all as in" in done.stdout else 1)
        return done.stdout.strip()

    return check


def test_the_house_keeps_its_own_table(repo):
    assert run(repo, repo).stdout == "layers: all as in the table\n"


@pytest.mark.parametrize(
    ("file", "include"),
    [
        ("core/a.cc", "<vector>"),
        ("core/a.cc", '"absl/status/status.h"'),
        ("tensor/a.h", '"device/stream.h"'),
        ("ops/cpu/a.cc", '"device/cpu/parallel_for.h"'),
        ("ops/cpu/a.cc", '"hwy/highway.h"'),
        ("ops/cpu/a.cc", "<oneapi/dnnl/dnnl.h>"),
        ("comm/mpi/a.cc", "<mpi.h>"),
        ("comm/local/a.cc", '"device/cpu/reduce.h"'),
        ("ops/cuda/a.cc", "<cuda_runtime.h>"),
        ("parallel/tensor/a.h", '"parallel/context.h"'),
        ("parallel/tensor/a.h", '"comm/communicator.h"'),
        ("parallel/mesh.cc", '"parallel/mesh.h"'),
        ("train/a.h", '"checkpoint/save.h"'),
        ("plan/a.h", '"train/engine.h"'),
        ("bindings/a.cc", "<pybind11/pybind11.h>"),
    ],
)
def test_allowed(tree, file, include):
    assert tree(file, include) == "layers: all as in the table"


@pytest.mark.parametrize(
    ("file", "include", "reason"),
    [
        ("core/a.cc", '"device/stream.h"', "core may not include"),
        ("ops/a.cc", '"comm/communicator.h"', "ops may not include"),
        ("nn/a.cc", '"parallel/mesh.h"', "nn may not include"),
        ("comm/a.cc", '"ops/matmul.h"', "comm may not include"),
        ("data/a.cc", '"parallel/mesh.h"', "data may not include"),
        ("models/a.cc", '"train/engine.h"', "models may not include"),
        ("train/a.cc", '"plan/search.h"', "train may not include"),
        ("plan/a.cc", '"bindings/status.h"', "plan may not include"),
        ("parallel/mesh.h", '"comm/communicator.h"', "parallel/mesh may not"),
        ("parallel/topology.h", '"comm/world.h"', "parallel/topology may not"),
        ("parallel/tensor/a.h", '"parallel/data/b.h"', "parallel/tensor may"),
        ("parallel/context.h", '"parallel/data/b.h"', "all of parallel"),
        ("ops/a.cc", '"ops/cpu/a.h"', "from outside its backend"),
        ("ops/cuda/a.cc", '"ops/cpu/a.h"', "from outside its backend"),
        ("ops/a.cc", '"device/cpu/reduce.h"', "from outside its backend"),
        ("comm/world.cc", "<mpi.h>", "<mpi.h> only in comm/mpi"),
        ("ops/cuda/a.cc", "<nvml.h>", "<nvml.h> only in device/cuda"),
        ("ops/a.cc", "<oneapi/dnnl/dnnl.h>", "only in ops/cpu"),
        ("comm/local/a.cc", '"hwy/highway.h"', "ops/cpu and device/cpu"),
        ("ops/cpu/a.cc", "<cuda_runtime.h>", "only in cuda"),
        ("device/cuda/a.cc", "<nccl.h>", "only in comm/nccl"),
        ("train/a.cc", "<pybind11/numpy.h>", "only in bindings"),
        ("ops/cuda/a.cu", '"absl/status/status.h"', "never see Abseil"),
        ("ops/a.cc", '"b.h"', "no path from csrc"),
        ("ops/a.cc", '"../core/b.h"', "no path from csrc"),
        ("misc/a.cc", "<vector>", "no folder of the house"),
    ],
)
def test_forbidden(tree, file, include, reason):
    found = tree(file, include)
    line = 1 if file.startswith("misc") else 2
    assert found.startswith(f"csrc/{file}:{line}: ")
    assert reason in found
    assert len(found.splitlines()) == 1
