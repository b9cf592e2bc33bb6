"""`loadgen manifest RUN`: what the steps of a run returned."""

from __future__ import annotations

import sys

from loadgen.cli import words


def manifest(run: words.Run, out: words.Out = words.OUT) -> None:
    """Print what the steps of a run returned, as JSON lines: step, item, value."""
    from loadgen.ledger import directory
    from loadgen.ledger.manifest import lines
    from loadgen.ledger.reader import Reader

    with Reader(directory.find(out, run)) as reader:
        for line in lines(reader.manifest()):
            sys.stdout.write(line)
