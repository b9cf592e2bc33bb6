"""Words in, exit code out: one file per command.

This file stays light, because every process of a pool imports it: the commands are imported when they
are called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        from loadgen.cli.app import run_app

        return run_app(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # before there was anything to wind down
        return 130
