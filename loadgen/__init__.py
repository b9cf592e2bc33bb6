"""Batch load generator: every item exactly as often as promised, timed as truly as `wrk`.

What stands in `__all__` is what scenarios import; README.md and docs/scenarios.md show how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.version import __version__

if TYPE_CHECKING:
    from loadgen import errors, feed
    from loadgen.execution.http_auth import Bearer
    from loadgen.execution.session import Session
    from loadgen.options import option
    from loadgen.scenario import Call, Made, Retry, Scenario, Timed, Verification

__all__ = [
    "Bearer",
    "Call",
    "Made",
    "Retry",
    "Scenario",
    "Session",
    "Timed",
    "Verification",
    "__version__",
    "errors",
    "feed",
    "option",
]

_HOMES = {
    "Bearer": "loadgen.execution.http_auth",
    "Call": "loadgen.scenario",
    "Made": "loadgen.scenario",
    "Retry": "loadgen.scenario",
    "Scenario": "loadgen.scenario",
    "Session": "loadgen.execution.session",
    "Timed": "loadgen.scenario",
    "Verification": "loadgen.scenario",
    "errors": "loadgen.errors",
    "feed": "loadgen.feed",
    "option": "loadgen.options",
}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: `import loadgen` stays fast."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'loadgen' has no attribute {name!r}")
    module = import_module(_HOMES[name])
    return module if _HOMES[name] == f"loadgen.{name}" else getattr(module, name)
