"""How the tests share a machine: how many side by side, and bytecode for the processes that they start."""

from __future__ import annotations

import contextlib
import os
import sys

import pytest


def pytest_xdist_auto_num_workers() -> int:
    """One more than cores: tests that run commands wait half of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Where Python is told to keep no bytecode, pytest's own folder keeps it.

    Some hundred commands start four processes each; a fifth of their time would go into compiling.
    """
    cache = getattr(config, "cache", None)
    if sys.dont_write_bytecode and cache is not None:
        with contextlib.suppress(OSError):  # a tree that cannot be written to: slower, and no worse
            os.environ["PYTHONPYCACHEPREFIX"] = str(cache.mkdir("bytecode"))
            os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
