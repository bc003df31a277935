"""A SLURM of one controller and two nodes, in a folder and hosts of its own.

The configuration of the machine's SLURM, if it has one, is neither read nor
touched. All of it ends with the hosts.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

from hosts.network import Hosts

ROOT = Path(__file__).resolve().parents[2]
SLOTS = 2  # of a node
_START_SECONDS = 60.0
_COMMANDS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scontrol")
_CONF = """\
ClusterName=eisbach
SlurmctldHost={head}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdSpoolDir={folder}/spool-%n
StateSaveLocation={folder}/state
TmpFS={folder}/tmp-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,batch_sched_delay=1
SlurmdParameters=config_overrides
SlurmdTimeout=15
KillWait=30
ReturnToService=2
JobRequeue=1
GresTypes=gpu
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """The commands that are not there."""
    return [name for name in _COMMANDS if not shutil.which(name)]


class Cluster:
    """SLURM on hosts: the first controls, the others are its nodes."""

    def __init__(self, hosts: Hosts, folder: Path):
        """Starts nothing yet; the folder is seen by all hosts."""
        self.hosts = hosts
        self.folder = folder
        self.head, *self.nodes = hosts.names
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMP_NUM_THREADS": "1",
        }
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Starts the daemons and waits until all nodes are idle."""
        self._write_files()
        munge = self.folder / "munge"
        self._daemon(
            *(self.head, "munged", "--foreground", "--force"),
            *(f"--{name}={munge}/{path}" for name, path in (
                ("socket", "socket"), ("key-file", "key"), ("pid-file", "pid"),
                ("log-file", "log"), ("seed-file", "seed"))),
        )  # fmt: skip
        self._wait_for((munge / "socket").exists, "munged")
        self._daemon(self.head, "slurmctld", "-D")
        for node in self.nodes:
            self.start_node(node)
        self._wait_for(self._is_idle, "slurmctld")

    def start_node(self, node: str) -> None:
        """Starts the daemon of a node."""
        self._daemon(node, "slurmd", "-D", "-N", node)

    def command(self, *words: str) -> str:
        """What a command on the controller prints.

        Raises:
          RuntimeError: It fails.
        """
        done = subprocess.run(
            [*self.hosts.on(self.head), *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def told(self) -> str:
        """The ends of the daemons' logs."""
        return "\n".join(
            f"{path}:\n{path.read_text(errors='replace')[-2000:]}"
            for path in sorted(self.folder.glob("*.log"))
        )

    def stop(self) -> None:
        """Ends the daemons."""
        for daemon in self._daemons:
            daemon.terminate()
        for daemon in self._daemons:
            daemon.wait()

    def _is_idle(self) -> bool:
        try:
            states = self.command("sinfo", "-h", "-o", "%T %D")
        except RuntimeError:
            return False
        return states.split() == ["idle", str(len(self.nodes))]

    def _wait_for(self, what, name: str) -> None:
        end = time.monotonic() + _START_SECONDS
        while not what():
            if time.monotonic() > end:
                raise RuntimeError(f"{name} does not start:\n{self.told()}")
            time.sleep(0.1)

    def _daemon(self, host: str, *words: str) -> None:
        log = self.folder / f"{host}-{words[0]}.out"
        with log.open("ab") as out:
            self._daemons.append(
                subprocess.Popen(
                    [*self.hosts.on(host), *words],
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                )
            )

    def _write_files(self) -> None:
        # GPUs that are counted and not there: the templates ask for them.
        nodes = "\n".join(
            f"NodeName={node} CPUs={SLOTS} Gres=gpu:{SLOTS} State=UNKNOWN"
            for node in self.nodes
        )
        conf = _CONF.format(head=self.head, folder=self.folder, nodes=nodes)
        (self.folder / "slurm.conf").write_text(conf)
        for slot in range(SLOTS):
            device = self.folder / f"gpu{slot}"
            os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        devices = f"{self.folder}/gpu[0-{SLOTS - 1}]"
        gres = f"Name=gpu File={devices}\n"
        (self.folder / "gres.conf").write_text(gres)
        # Found by itself it would be looked for where a host has none.
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        (self.folder / "state").mkdir()
        for node in self.nodes:
            (self.folder / f"spool-{node}").mkdir()
            (self.folder / f"tmp-{node}").mkdir()
        munge = self.folder / "munge"
        munge.mkdir(mode=0o755)
        key = munge / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
