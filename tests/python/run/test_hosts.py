import pytest

from eisbach.run.hosts import Hosts, on_hosts, read_hosts


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "hosts"
    path.write_text(
        "# ours\nnode1 slots=4\n\nnode2.cluster slots = 2 max_slots=4  # old\n"
        "node3\nnode4:8\n"
    )
    return path


IN_FILE = {"node1": 4, "node2.cluster": 2, "node3": 1, "node4": 8}


@pytest.mark.parametrize(
    ("options", "slots", "ranks"),
    [
        ("-n 4 --host a:2,b:2", {"a": 2, "b": 2}, 4),
        ("-np 4 -H a,a,b", {"a": 2, "b": 1}, 4),
        ("--host=a:8 --host b:8", {"a": 8, "b": 8}, None),
        ("--np 3 --hostfile FILE", IN_FILE, 3),
        ("-machinefile FILE -x A=-n", IN_FILE, None),
        ("-n 2", {}, 2),
        ("--hostfile nowhere", {}, None),
    ],
)
def test_options_say_where(file, options, slots, ranks):
    words = options.replace("FILE", str(file)).split()
    assert read_hosts(["mpirun", *words], {}) == Hosts(slots, ranks)


def test_a_job_system_says_where(file, tmp_path, monkeypatch):
    for name in (
        "PRTE_MCA_prte_default_hostfile",
        "OMPI_MCA_orte_default_hostfile",
    ):
        assert read_hosts(["mpirun"], {name: str(file)}).slots == IN_FILE
    program = tmp_path / "scontrol"
    program.write_text("#!/bin/sh\necho n1; echo n2; echo n3\n")
    program.chmod(0o755)
    slurm = {
        "SLURM_JOB_NODELIST": "n[1-3]",
        "SLURM_TASKS_PER_NODE": "8(x2),4",
    }
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_hosts(["mpirun", "-n", "9"], slurm) == Hosts(
        {"n1": 8, "n2": 8, "n3": 4}, 9
    )
    program.unlink()
    assert read_hosts(["mpirun"], slurm) == Hosts({}, None)


def test_hosts_that_say_no_number_share_the_ranks(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("a\nb slots=2\nc\n")
    words = ["mpirun", "-n", "9", "--hostfile", str(path)]
    hosts = read_hosts(words, {})
    assert hosts == Hosts({"a": 4, "b": 2, "c": 4}, 9)
    assert hosts.without("c").most_ranks == 6


def test_an_address_has_no_short_name():
    hosts = Hosts({"10.0.0.1": 4, "10.0.0.2": 4}, 8)
    assert hosts.find("10.0.0.2") == "10.0.0.2"
    assert hosts.find("10.0.0.3") == ""
    assert Hosts({"n.a": 1, "n.b": 1}, 2).find("n.b") == "n.b"


def test_messages_may_have_short_names():
    hosts = Hosts({"node1.cluster": 2, "node2": 2}, None)
    assert hosts.find("node1") == "node1.cluster"
    assert hosts.find("node2.elsewhere") == "node2"
    assert hosts.find("node") == ""


def test_a_host_is_left_out():
    launcher = ["mpirun", "-n", "6", "--bind-to", "none", "--hostfile=f",
                "-x", "A", "-H", "a,b"]  # fmt: skip
    hosts = Hosts({"a": 2, "b": 2, "c": 2}, 6).without("b")
    assert hosts.most_ranks == 4
    assert Hosts({"a": 8}, 3).most_ranks == 3
    words = on_hosts(launcher, hosts, 4)
    assert words == ["mpirun", "--host", "a:2,c:2", "-n", "4",
                     "--bind-to", "none", "-x", "A"]  # fmt: skip
    assert read_hosts(words, {}) == Hosts({"a": 2, "c": 2}, 4)
