"""What can be set about the sandbox, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """One sandbox: where it listens, whom it lets in, how slow and how faulty it is."""

    port: int = 0
    """Port to listen on; 0 takes a free one."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    user: str = "azkaban"
    """The only user there is; an administrator."""
    password: str = "azkaban"  # noqa: S105  (Azkaban's own default, for a server that holds nothing)
    """That user's password."""
    latency_ms: float = 0.0
    """Added to every answer, after the request has taken effect."""
    fail_rate: float = 0.0
    """Share of uploads and creates, 0 to 1, that are answered 500 without having any effect."""
    seed: int = 0
    """Decides which ones: the same requests in the same order meet the same fate."""
    run_time_ms: float = 200.0
    """How long a job runs whose command does not sleep for another time."""
    scan_interval_s: float = 60.0
    """How often schedules are looked at that may be due."""
    flow_threads: int = 30
    """Executions that run at once; further ones wait."""
    queue_size: int = 100_000
    """Executions that may wait; further ones are refused."""
    access_log: Path | None = None
    """JSON lines, one a request, appended; None writes none."""
    idle_exit_s: float | None = None
    """Stop when nothing was asked for so long; None: only when told to."""
