"""`loadgen clean RUN`: undo on the target what a run made there."""

from __future__ import annotations

import os
from contextlib import closing
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
    from loadgen.ledger.lock import RunLock
    from loadgen.ledger.reader import Reader
    from loadgen.ledger.store import Ledger
    from loadgen.master import teardown
    from loadgen.record import Mark

    console = Console()
    path = directory.find(out, run)
    with Reader(path) as reader:
        facts, phases = reader.facts(), reader.phases()
    if facts.sandbox and not is_alive(facts.target):
        console.print(
            "the sandbox of this run is gone, and all that it held: nothing to clean", soft_wrap=True
        )
        return
    loaded = kept_scenario(path)
    options: Any = scenario_options.parse(loaded.scenario.options, (), os.environ, kept=facts.options)
    clock = SystemClock()
    lock = RunLock(path)  # not under the feet of a run that goes on
    try:
        teardown(loaded, options, facts.target, clock)
        with closing(Ledger(path, started_us=phases.started_us)) as ledger:
            ledger.submit([Mark("cleaned_us", clock.now_us())]).wait()
    finally:
        lock.release()
    console.print(f"cleaned {facts.target} of run {facts.id}", soft_wrap=True, highlight=False, markup=False)
