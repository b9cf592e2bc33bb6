"""The signals that wind a command down, the first time, and end it at once, the second time."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from collections.abc import Callable
from types import FrameType

_STOP = ("SIGINT", "SIGTERM", "SIGHUP")
"""SIGHUP comes when a terminal is closed, and does not exist everywhere."""


def handled(handler: Callable[[int, FrameType | None], None]) -> contextlib.ExitStack:
    """Have the handler called for each of them, until the stack is closed.

    Under `nohup`, SIGHUP stays ignored.
    """
    stack = contextlib.ExitStack()
    for name in _STOP:
        number = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            continue
        stack.callback(signal.signal, number, signal.signal(number, handler))
    return stack


def hangs_up(number: int) -> bool:
    """A terminal that is closed may say so twice, and nobody has asked twice."""
    return number == getattr(signal, "SIGHUP", None)


def leave_terminal(number: int) -> None:
    """After SIGHUP the terminal is gone: what is still said goes nowhere, instead of failing."""
    if not hangs_up(number):
        return
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):  # closed before
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):  # isatty() is false already
                os.dup2(nowhere, descriptor)
    os.close(nowhere)
