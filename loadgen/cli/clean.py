"""`loadgen clean RUN`: undo on the target what a run made there."""

from __future__ import annotations

import os
from typing import Any

from loadgen.cli import words


def clean(run: words.Run, out: words.Out = words.OUT) -> None:
    """Undo a run on its target: the scenario's teardown, with the run's options."""
    from rich.console import Console

    from loadgen import options as scenario_options
    from loadgen.cli.prepare import kept_scenario
    from loadgen.clock import SystemClock
    from loadgen.launch.sandbox import is_alive
    from loadgen.ledger import directory
    from loadgen.ledger.reader import Reader
    from loadgen.master import teardown

    console = Console()
    path = directory.find(out, run)
    with Reader(path) as reader:
        facts = reader.facts()
    if facts.sandbox and not is_alive(facts.target):
        console.print(
            "the sandbox of this run is gone, and all that it held: nothing to clean", soft_wrap=True
        )
        return
    loaded = kept_scenario(path)
    options: Any = scenario_options.parse(loaded.scenario.options, (), os.environ, kept=facts.options)
    teardown(loaded, options, facts.target, SystemClock())
    console.print(f"cleaned {facts.target} of run {facts.id}", soft_wrap=True, highlight=False, markup=False)
