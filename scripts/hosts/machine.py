"""The first process of a host that is made up: init and sshd in one.

    unshare --net --uts --ipc --pid --mount --fork --mount-proc \
        python -S machine.py FOLDER NAME

It runs what login.py sends, and reaps what has lost its parent. FOLDER holds
`hosts`, which becomes /etc/hosts here, and gets the socket NAME.sock.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from pathlib import Path

PORT = 22
_MOST_BYTES = 1 << 18


def _set_up(folder: Path, name: str) -> None:
    socket.sethostname(name)
    for mount in (
        ["--bind", str(folder / "hosts"), "/etc/hosts"],
        ["-t", "tmpfs", "tmpfs", "/dev/shm"],
        ["-t", "sysfs", "sysfs", "/sys"],
    ):
        subprocess.run(["mount", *mount], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class _Machine:
    """Runs commands for whoever connects."""

    def __init__(self, path: Path):
        """Listens on a socket in a folder, and on a port of the network."""
        self._calls: dict[int, socket.socket] = {}  # by process
        self._tied: set[int] = set()  # processes that end with their caller
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._door.bind(str(path))
        self._door.listen(64)
        self._port = socket.create_server(("", PORT), backlog=64)
        self._wake, self._bell = socket.socketpair()
        self._bell.setblocking(False)
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector = selectors.DefaultSelector()
        for source, take in (
            (self._door, self._enter),
            (self._port, self._greet),
            (self._wake, self._reap),
        ):
            self._selector.register(source, selectors.EVENT_READ, take)

    def serve(self) -> None:
        """Does so until this process is killed."""
        while True:
            for key, _ in self._selector.select():
                key.data()

    def _greet(self) -> None:
        """Lets others know that this host can be reached."""
        guest, _ = self._port.accept()
        with guest, contextlib.suppress(OSError):
            guest.sendall(b"here\n")

    def _enter(self) -> None:
        call, _ = self._door.accept()
        data, streams, _, _ = socket.recv_fds(call, _MOST_BYTES, 3)
        if not data:
            call.close()
            return
        asked = json.loads(data)
        pid = os.fork()
        if not pid:
            _become(asked, streams)
        if asked["tied"]:
            self._tied.add(pid)
        for stream in streams:
            os.close(stream)
        self._calls[pid] = call
        self._selector.register(
            call, selectors.EVENT_READ, lambda: self._pass_on(call, pid)
        )

    def _pass_on(self, call: socket.socket, pid: int) -> None:
        """Sends a signal for a caller."""
        if pid not in self._calls:
            return  # it has ended since
        if data := call.recv(16):
            os.kill(pid, int(data))
            return
        self._selector.unregister(call)
        if pid in self._tied:  # the caller has gone
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        self._wake.recv(4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._tied.discard(pid)
            if not (call := self._calls.pop(pid, None)):
                continue
            with contextlib.suppress(KeyError):
                self._selector.unregister(call)
            with call, contextlib.suppress(OSError):
                call.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(asked: dict, streams: list[int]) -> None:
    """Turns a fork of this process into a command; does not return."""
    try:
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
        os.closerange(3, 256)
        os.chdir(asked["folder"])
        os.execvpe(asked["words"][0], asked["words"], asked["environment"])
    except OSError as error:
        os.write(2, f"{asked['words'][0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def main() -> None:
    """Becomes the host."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    _set_up(folder, name)
    machine = _Machine(folder / f"{name}.sock")
    print("ready", flush=True)
    machine.serve()


if __name__ == "__main__":
    main()
