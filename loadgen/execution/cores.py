"""A core of its own for each pool process.

The threads of a Python process run one at a time, but the kernel spreads them over all cores, and there
they fight for the interpreter's lock: sixteen threads that call a fast target then need two to three times
the CPU of the same threads on one core.  So a process claims a core that no other pool process on this
machine has, and stays on it.  The claim is a name among Linux's abstract sockets: it ends with the process,
however that ends.  One core is left for whatever must run somewhere, the target perhaps: a server between
two processes that do not move was 40 % slower.  Where all others are claimed, or elsewhere than on Linux, the
kernel goes on to choose.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sys
from pathlib import Path


def claim(realm: str = "loadgen") -> socket.socket | None:
    """Move this process to a core of its own; it has it as long as what is returned lives.

    Threads that run already stay where they are.  `realm`: who competes.  None: there is no core to claim.
    """
    if sys.platform != "linux":
        return None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        return None
    # Containers and users do not see each other's claims: let them not begin with the same core.
    random.Random(f"{Path('/proc/self/ns/net').stat().st_ino} {os.getuid()}").shuffle(cores)  # noqa: S311
    for core in cores[1:]:
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0{realm}-core-{os.getuid()}-{core}")
        except OSError:  # somebody has it
            name.close()
            continue
        with contextlib.suppress(OSError):  # a machine that forbids it
            os.sched_setaffinity(0, {core})
        return name
    return None
