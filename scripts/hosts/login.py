"""Runs a command on a host that is made up.

    python -S login.py FOLDER HOST WORD...              as a shell there would
    python -S login.py --ssh=SECONDS FOLDER HOST WORD...  as ssh would

The latter knocks at the host over the network first, waits for some seconds,
and takes nothing along: not the environment, nor streams, which a host that is
frozen would hold.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading

PORT = 22  # that of machine.py
_FAILED = 255  # as ssh does
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def _knock(host: str, seconds: float) -> None:
    try:
        with socket.create_connection((host, PORT), seconds) as door:
            door.settimeout(seconds)
            if door.recv(16):
                return
            reason = "closed by the other side"
    except OSError as error:
        reason = error.strerror or str(error)
    print(f"login: {host} port {PORT}: {reason}", file=sys.stderr)
    sys.exit(_FAILED)


def _call(
    folder: str,
    host: str,
    words: list[str],
    environment: dict[str, str],
    streams: list[int],
    *,
    tied: bool,
) -> int:
    """Returns the exit status, or minus a signal; 255 where the host goes.

    What is tied is killed with this process. What is not hears nothing of a
    host that goes, as ssh does not, and waits.
    """
    call = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        call.connect(f"{folder}/{host}.sock")
    except OSError as error:
        print(f"login: {host}: {error.strerror}", file=sys.stderr)
        return _FAILED
    asked = {
        "words": words,
        "folder": os.getcwd(),
        "environment": environment,
        "tied": tied,
    }
    socket.send_fds(call, [json.dumps(asked).encode()], streams)
    for stream in streams:
        if stream > 2:
            os.close(stream)
    for number in _PASSED_ON:
        signal.signal(number, lambda n, _: call.send(str(int(n)).encode()))
    with contextlib.suppress(ConnectionError):
        if status := call.recv(16):
            return int(status)
    while not tied:
        signal.pause()
    return _FAILED


def _through_pipe(stream: int, threads: list[threading.Thread]) -> int:
    """Returns what is written to in place of a stream of ours."""
    source, sink = os.pipe()

    def copy() -> None:
        with contextlib.suppress(OSError):
            while data := os.read(source, 1 << 16):
                os.write(stream, data)

    threads.append(threading.Thread(target=copy, daemon=True))
    threads[-1].start()
    return sink


def main() -> None:
    """Ends as the command has ended."""
    over_network = sys.argv[1].startswith("--ssh=")
    folder, host, *words = sys.argv[1 + over_network :]
    environment = {**os.environ, "TMPDIR": f"{folder}/{host}"}
    streams, threads = [0, 1, 2], []
    if over_network:
        _knock(host, float(sys.argv[1].partition("=")[2]))
        words = ["sh", "-c", " ".join(words)]
        environment = {
            "HOME": os.environ["HOME"],
            "PATH": "/usr/bin:/bin",
            "TMPDIR": environment["TMPDIR"],
        }
        streams[1:] = [_through_pipe(stream, threads) for stream in (1, 2)]
    status = _call(
        folder, host, words, environment, streams, tied=not over_network
    )
    for thread in threads if status != _FAILED else []:
        thread.join()
    if status < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main()
