"""A cable that loses frames and is slow.

    python -S bad_cable.py ONE OTHER LOSS SECONDS

Makes two TAP devices in its network namespace and carries frames from each to
the other: LOSS of them never, the others SECONDS later. For kernels without
`sch_netem`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque

_TUNSETIFF = 0x400454CA  # <linux/if_tun.h>
_IFF_TAP, _IFF_NO_PI = 0x2, 0x1000
_MOST_BYTES = 1 << 16


def _tap(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = _IFF_TAP | _IFF_NO_PI
    fcntl.ioctl(
        device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags)
    )
    return device


def main() -> None:
    """Carries frames until this process is killed."""
    one, other = (_tap(name) for name in sys.argv[1:3])
    loss, delay = float(sys.argv[3]), float(sys.argv[4])
    draw = random.Random(1)
    print("ready", flush=True)
    ends = {one: other, other: one}
    under_way: deque[tuple[float, int, bytes]] = deque()
    while True:
        left = None
        if under_way:
            left = max(0.0, under_way[0][0] - time.monotonic())
        for end in select.select([one, other], [], [], left)[0]:
            with contextlib.suppress(BlockingIOError):
                while True:
                    frame = os.read(end, _MOST_BYTES)
                    if draw.random() >= loss:
                        due = time.monotonic() + delay
                        under_way.append((due, ends[end], frame))
        while under_way and under_way[0][0] <= time.monotonic():
            _, end, frame = under_way.popleft()
            with contextlib.suppress(OSError):  # the device is down
                os.write(end, frame)


if __name__ == "__main__":
    main()
