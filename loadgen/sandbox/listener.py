"""A listening socket for a sandbox, bound before anything else is started: a taken port is known at once."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from loadgen.errors import AddressInUse, UsageError

if TYPE_CHECKING:
    from loadgen.sandbox.options import SandboxOptions

BACKLOG = 2048
"""Connections that may wait to be accepted."""


def listen(options: SandboxOptions) -> socket.socket:
    """The socket.  Raises AddressInUse and UsageError.

    It names its protocol, as `socket.create_server` does not: asyncio turns Nagle's algorithm off only
    for connections whose listener did, and each answer on a kept connection would wait 40 ms for it.
    """
    where = f"{options.host}:{options.port}"
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere the option means that two may share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.host, options.port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise AddressInUse(f"{where} is in use; choose another port, or 0 for a free one") from error
        raise UsageError(f"cannot listen on {where}: {getattr(error, 'strerror', None) or error}") from error
    return listener
