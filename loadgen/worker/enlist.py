"""What a worker makes of the master's welcome: whose code it runs, and how its pool is set up."""

from __future__ import annotations

import string
from pathlib import Path
from urllib.parse import quote

from loadgen.errors import Refused
from loadgen.execution.pipe import Setup
from loadgen.loader import load, only_copy
from loadgen.queues.messages import Welcome


def enlist(welcome: Welcome, own: Path | None, folder: Path, concurrency: int | None) -> Setup:
    """The setup of a pool for this run.

    `own`: the only copy of the scenario that may be run; None: what the master sends is, unpacked in
    `folder`.  `concurrency`: None for what the run says.  Raises ScenarioError and Refused.
    """
    return Setup(
        scenario=str(_scenario(welcome, own, folder)),
        steps=welcome.steps,
        target=welcome.target,
        options=welcome.options,
        threads=concurrency or welcome.concurrency,
        connections=welcome.connections,
        top_up=welcome.top_up,
        max_lag_us=welcome.max_lag_us,
        run=quote(welcome.run, safe=string.punctuation + " ") if welcome.correlate else "",
    )


def _scenario(welcome: Welcome, own: Path | None, folder: Path) -> Path:
    if own is not None:
        path = own.resolve()
        only_copy(load(path), welcome.digest)
        return path
    if welcome.bundle.digest != welcome.digest:
        raise Refused("the scenario that the master sent does not have the digest that it names")
    return welcome.bundle.unpack(folder)
