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
    """An administrator."""
    password: str = "azkaban"  # noqa: S105  (Azkaban's own default, for a server that holds nothing)
    """That user's password."""
    guest: str = "guest"
    """Another user, who may do nothing with other people's projects; the password is the same word."""
    profile: str = "4.0"
    """Which version of Azkaban it is like: one of `loadgen.sandbox.azkaban.profile.PROFILES`."""
    session_ttl_s: float = 36_000.0
    """A session ends so long after it was last used."""
    session_calls: int = 0
    """And after so many calls; 0: however many."""
    max_sessions_per_user: int = 0
    """One more login is refused; 0: none is."""
    lockdown: str = ""
    """What only administrators may do, as the site has it: `create` projects, or `upload`; empty: neither."""
    upload_user: str = ""
    """What this user uploads, only they may upload from then on; empty: there is no such user."""
    site_validator: bool = False
    """Whether the site's own validator looks for Windows line ends: a warning, with `fix=off` an error."""
    threads: int = 0
    """Connections served at a time, as by Jetty's thread pool: more are accepted and hang; 0: all."""
    base_cost_ms: float = 0.0
    """What an upload takes of its project's time, and a delete."""
    cost_per_flow_ms: float = 0.0
    """The same for each flow that an upload writes, and for each row of an old version that it deletes."""
    front: str = ""
    """`create-job` serves the front end of the original story as well: POST /mammut/jobs."""
    front_base_cost_ms: float = 900.0
    """What creating a job there takes in all, unless the sandbox's own work takes longer."""
    front_cost_per_job_ms: float = 2.0
    """The same for each job that the project holds already."""
    state: Path | None = None
    """A journal of what the sandbox holds, sessions excepted; None: it is kept in memory only."""
    latency_ms: float = 0.0
    """Added to every answer, after the request has taken effect."""
    fail_rate: float = 0.0
    """Share of uploads and creates, 0 to 1, that are answered 500 without having any effect."""
    drop_rate: float = 0.0
    """Share of successful uploads, 0 to 1, whose connection is reset instead of answered."""
    seed: int = 0
    """Decides which ones these are: the same requests in the same order meet the same fate."""
    run_time_ms: float = 200.0
    """How long a job runs whose command does not sleep for another time."""
    scan_interval_s: float = 60.0
    """How often schedules are looked at that may be due."""
    flow_threads: int = 30
    """Executions that run at once; further ones wait."""
    queue_size: int = 100_000
    """Executions that may wait, where the profile has a queue that can be full; further ones are refused."""
    access_log: Path | None = None
    """JSON lines, one a request, appended; None writes none."""
    idle_exit_s: float | None = None
    """Stop when nothing was asked for so long; None: only when told to."""
