import json
import os
import subprocess
import sys
import textwrap

import pytest

import eisbach


def test_a_world_of_one_with_threads_of_its_own():
    world = eisbach.init(device="cpu", threads=1)
    assert (world.rank, world.size) == (0, 1)
    assert world.device.type == "cpu"


def test_threads_have_a_bound():
    most = 16 * len(os.sched_getaffinity(0))
    with pytest.raises(
        ValueError,
        match=rf"threads={most + 1} is above {most}.* works: {most} \(run\.thr",
    ):
        eisbach.init(device="cpu", threads=most + 1)
    with pytest.raises(ValueError, match=r"threads=0 is below 1"):
        eisbach.init(device="cpu", threads=0)
    assert eisbach._C.threads() <= most


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("flags", "alone"),
    [
        # What Open MPI does by itself, and what a person asks for.
        (["--prtemca", "hwloc_default_binding_policy", "core"], False),
        (["--bind-to", "core"], True),
    ],
    ids=["default", "asked"],
)
def test_a_lone_rank_is_bound_to_one_core_only_if_asked(launch, flags, alone):
    script = "import eisbach; eisbach.init(); print(eisbach._C.threads())"
    command, environment, cwd = launch("-c", script, ranks=2)
    count = command.index("2")
    command[count - 1 : count + 1] = [*flags, "-n", "1"]
    del environment["OMP_NUM_THREADS"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment,
    )
    assert not done.returncode, done.stderr
    cores = len(os.sched_getaffinity(0))
    assert int(done.stdout) == (1 if alone else cores)


# More threads than a busy or limited machine gives: the products must not
# depend on it.
@pytest.mark.parametrize(
    "limit",
    ["OMP_THREAD_LIMIT=1", "OMP_DYNAMIC=true", "OMP_MAX_ACTIVE_LEVELS=0"],
)
def test_threads_that_are_not_given_are_not_missed(trainer, monkeypatch, limit):
    threads = len(os.sched_getaffinity(0)) + 2
    train = trainer("train.steps=1", "train.validate_every=0")

    def norm(name, threads):
        done, folder = train(name, f"run.threads={threads}")
        assert done.returncode == 0, done.stderr
        line = (folder / "metrics.jsonl").read_text()
        return json.loads(line)["grad_norm"], done.stderr

    expected, quiet = norm("one", 1)
    assert "threads" not in quiet
    name, _, value = limit.partition("=")
    monkeypatch.setenv(name, value)
    got, told = norm("many", threads)
    assert got == pytest.approx(expected, rel=1e-4)
    said = f"computing with 1 of the {threads} threads asked for"
    assert (said in told) == (name != "OMP_DYNAMIC")
    assert name == "OMP_DYNAMIC" or limit in told


# The others are in a collective that rank 1 never joins.
ONE_RANK = """
import os, sys, time
import numpy as np
import eisbach
world = eisbach.init()
for round in range(1000000):
    world.barrier()
    if round == 20:
        open(f"{sys.argv[1]}/{world.rank}", "x").close()
        while len(os.listdir(sys.argv[1])) < world.size:
            time.sleep(0.01)
        if world.rank == 1:
            WRONG
"""


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("raise KeyError('no such shard')", "KeyError: 'no such shard'"),
        ("sys.exit('the licence is over')", "the licence is over"),
        ("world.abort(7, 'a disk is full')", "a disk is full"),
        (
            "eisbach.TokenFile('/nowhere/corpus')",
            "/nowhere/corpus.idx",
        ),
        ("os.kill(os.getpid(), 9)", "signal 9 (Killed)"),
    ],
    ids=["throws", "exits", "aborts", "status", "killed"],
)
def test_a_rank_that_fails_takes_the_others_down(start, tmp_path, wrong, told):
    script, rounds = tmp_path / "one_rank.py", tmp_path / "rounds"
    script.write_text(ONE_RANK.replace("WRONG", wrong))
    rounds.mkdir()
    job = start(script, rounds, ranks=3)
    job.wait_for(lambda: len(list(rounds.iterdir())) == 3)
    errors = job.check_failure()
    assert errors.count(told) == 1, errors


LEAVES = """
import sys, eisbach
world = eisbach.init()
if world.rank == 1:
    sys.exit(0)
world.barrier()
"""


@pytest.mark.mpi
def test_a_rank_that_leaves_with_0_is_named_and_takes_the_others_down(
    start, tmp_path
):
    script = tmp_path / "leaves.py"
    script.write_text(LEAVES)
    job = start(script, ranks=3)
    _, errors = job.process.communicate(timeout=100)
    assert job.process.returncode not in (0, -9), errors
    told = "[eisbach rank 1] rank 1 ends, and the others did not come to their"
    assert errors.count(told) == 1, errors
    assert not job.processes()


def ranks_run(run, tmp_path, text, ranks=2):
    """Runs a program on some ranks; returns what they print."""
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(text))
    done = run(script, ranks=ranks)
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.mark.mpi
def test_a_program_may_train_twice_and_go_on(run, tmp_path):
    output = ranks_run(
        run,
        tmp_path,
        f"""
        import eisbach
        config = eisbach.resolve(eisbach.make_config(
            run={{"name": "twice", "dir": {str(tmp_path / "runs")!r}}},
            model={{"layers": 1, "hidden": 32, "heads": 2, "context": 16}},
            train={{"steps": 2, "global_batch": 4, "micro_batch": 2,
                   "validate_every": 0}}))
        world = eisbach.init()
        statuses = [eisbach.train(config), eisbach.train(config)]
        world.barrier()
        assert eisbach.init() is world
        if world.rank == 0:
            print("ended with", statuses)
        """,
    )
    assert "ended with [0, 0]" in output
    names = sorted(p.name for p in (tmp_path / "runs").iterdir())
    assert names == ["twice", "twice-2"]


@pytest.mark.mpi
def test_a_world_that_has_ended_says_so(run, tmp_path):
    output = ranks_run(
        run,
        tmp_path,
        """
        import eisbach
        world = eisbach.init(device="cpu")
        for again in ({"device": "meta"}, {}):
            if not again:
                world.finalize()
            try:
                eisbach.init(**again)
            except Exception as error:
                if world.rank == 0:
                    print(type(error).__name__, error)
        """,
    ).splitlines()
    assert output == [
        "ValueError init(device='meta'): the ranks of this process have joined "
        "on cpu, and do so once",
        "RuntimeError MPI was started in this process before, by a world that "
        "has ended or by another library, and starts once a process: keep the "
        "first world",
    ]


ENGINE = """
import os, sys, threading
import numpy as np
import eisbach
config = eisbach.make_config(
    model={"layers": 2, "hidden": 64, "heads": 2, "context": 32},
    train={"steps": 9, "global_batch": 8, "micro_batch": 2})
world = eisbach.init()
engine = eisbach.Engine(
    eisbach.engine_config(config),
    eisbach.ParallelContext(world, eisbach.make_mesh(config, world.size)))
tokens = np.zeros((8 // world.size, 33), np.int32)
def step():
    batch = eisbach.Batch(tokens[:, :-1], tokens[:, 1:], world.device)
    return engine.step(batch)
"""


def test_a_step_from_two_threads_is_an_error_in_words(run, tmp_path):
    output = ranks_run(
        run,
        tmp_path,
        ENGINE
        + """
errors = []
def many():
    while not errors:
        try:
            step()
        except RuntimeError as error:
            errors.append(error)
threads = [threading.Thread(target=many) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(errors[0])
print(step().step > 0)
""",
        ranks=1,
    ).splitlines()
    assert output[0].startswith("Engine: another thread is in a call of it")
    assert output[1] == "True"


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.mpi)])
def test_a_fork_after_init_is_told_that_it_has_no_part(run, tmp_path, ranks):
    output = ranks_run(
        run,
        tmp_path,
        ENGINE
        + """
step()
child = os.fork()
if not child:
    try:
        step()
    except RuntimeError as error:
        if world.rank == 0:
            print(error)
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
print(step().step)
""",
        ranks=ranks,
    ).splitlines()
    told = [line for line in output if "is a fork of" in line]
    assert len(told) == 1, output
    assert told[0].startswith("Engine: process")
    assert output.count("2") == ranks


@pytest.mark.mpi
def test_the_ranks_of_a_host_listen_on_no_interface(run, tmp_path):
    output = ranks_run(
        run,
        tmp_path,
        """
        import os, eisbach
        from pathlib import Path
        world = eisbach.init()
        world.barrier()
        mine = set()
        for link in Path("/proc/self/fd").iterdir():
            try:
                mine.add(os.readlink(link))
            except OSError:
                pass
        for table in ("tcp", "tcp6"):
            path = Path("/proc/self/net", table)
            lines = path.read_text().splitlines() if path.exists() else []
            for line in lines[1:]:
                fields = line.split()
                # 0A: listens; 0100007F: 127.0.0.1
                if (fields[3] == "0A" and f"socket:[{fields[9]}]" in mine
                        and not fields[1].startswith("0100007F:")):
                    print("listens on", fields[1])
        print("looked")
        """,
    )
    assert output.splitlines() == ["looked"] * 2


def test_every_public_name_is_there():
    for name in eisbach.__all__:
        assert getattr(eisbach, name) is not None
    assert set(eisbach.__all__) <= set(dir(eisbach))


def test_importing_is_quick():
    code = (
        "import sys, eisbach; heavy = {'numpy', 'pydantic', 'eisbach._C'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.mpi
def test_ranks_in_namespaces_of_their_own_say_so_and_go_on(launch, tmp_path):
    script = tmp_path / "apart.py"
    script.write_text(
        "import numpy as np, eisbach\n"
        "world = eisbach.init(device='cpu')\n"
        "ones = np.ones(1 << 20, np.float32)\n"
        "tensor = eisbach.Tensor.from_numpy(ones, world.device)\n"
        "world.communicator.all_reduce(tensor)\n"
        "print(world.communicator.transport, tensor.numpy().max())\n"
    )
    command, environment, cwd = launch(script, ranks=2)
    apart = ["unshare", "--pid", "--fork", "--mount-proc"]
    allowed = subprocess.run([*apart, "true"], capture_output=True, text=True)
    assert not allowed.returncode, (
        f"no process namespaces of its own (they need root): {allowed.stderr}"
    )
    at = command.index(sys.executable)
    command[at:at] = apart
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd,
        env=environment,
    )
    assert not done.returncode, done.stderr
    assert done.stdout.splitlines() == ["mpi 2.0"] * 2
    assert done.stderr.count("different process namespaces") == 1
