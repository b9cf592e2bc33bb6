"""The web server as a whole: which servlet a path belongs to.  As in AzkabanWebServer.java."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.engine import Engine
from loadgen.sandbox.azkaban.execution import EVENTS as EXECUTION_EVENTS
from loadgen.sandbox.azkaban.executions import Limits
from loadgen.sandbox.azkaban.executor import Executor
from loadgen.sandbox.azkaban.history import History
from loadgen.sandbox.azkaban.index import Index, NotYet, Redirect
from loadgen.sandbox.azkaban.jmx import Jmx
from loadgen.sandbox.azkaban.login import Login
from loadgen.sandbox.azkaban.mammut import PATH, Mammut
from loadgen.sandbox.azkaban.manager import Manager
from loadgen.sandbox.azkaban.pages import ServletError, jetty_error
from loadgen.sandbox.azkaban.projects import EVENTS as PROJECT_EVENTS
from loadgen.sandbox.azkaban.projects import Projects
from loadgen.sandbox.azkaban.schedule import ScheduleServlet
from loadgen.sandbox.azkaban.schedules import EVENTS as SCHEDULE_EVENTS
from loadgen.sandbox.azkaban.sessions import Sessions
from loadgen.sandbox.azkaban.site import site_of
from loadgen.sandbox.azkaban.status import status
from loadgen.sandbox.azkaban.upload import Upload

if TYPE_CHECKING:
    from loadgen.clock import Clock
    from loadgen.sandbox.azkaban.login import Servlet
    from loadgen.sandbox.azkaban.projects import Project
    from loadgen.sandbox.connections import Threads
    from loadgen.sandbox.journal import Journal
    from loadgen.sandbox.messages import Answer, Request
    from loadgen.sandbox.options import SandboxOptions

NOT_YET = frozenset({"/triggers", "/flowtrigger", "/flowtriggerinstance", "/stats", "/notes"})
"""Routes of the real server that the sandbox has no servlet for; better a clear word than a wrong answer."""


class Azkaban:
    """A target for the front."""

    def __init__(self, options: SandboxOptions, clock: Clock, journal: Journal, threads: Threads) -> None:
        """Raises UsageError when the journal cannot be used."""
        self._site = site = site_of(options)
        projects = Projects(journal.record)
        scan_ms = max(1, round(options.scan_interval_s * 1000))
        self._engine = engine = Engine(
            projects, _limits(options), scan_ms, clock, journal.record, site.profile
        )
        upload = Upload(projects, site, engine.uploaded if site.profile.drops_schedules else _nothing)
        self._login = Login(site.users, _sessions(options), clock)
        self._redirect = Redirect()
        self._servlets: dict[str, Servlet] = dict.fromkeys(NOT_YET, NotYet()) | {
            "/index": Index(projects),
            "/manager": Manager(projects, upload, site, clock, engine),
            "/executor": Executor(projects, engine, site.users),
            "/schedule": ScheduleServlet(projects, engine, site),
            "/history": History(engine),
            "/jmx": Jmx(engine, threads, site.profile),
        }
        if options.front:
            self._servlets[PATH] = Mammut(projects, upload, site)
        journal.restore(
            {
                **dict.fromkeys(PROJECT_EVENTS, projects.apply),
                **dict.fromkeys(EXECUTION_EVENTS, engine.executions.apply),
                **dict.fromkeys(SCHEDULE_EVENTS, engine.schedules.apply),
            },
            engine.executions.stand,
        )

    def tick(self) -> None:
        """Before each request, and now and then without one: what is due by now happens now.

        What cannot be recorded, as the disk is full, stays due; nobody is there to be told.
        """
        with contextlib.suppress(OSError):
            self._engine.advance()

    async def respond(self, request: Request) -> Answer:
        """An answer to everything; what a servlet cannot answer, Jetty does."""
        known = {"GET", "HEAD"} if request.path == "/status" else {"GET", "HEAD", "POST"}
        if request.method not in known:
            return jetty_error(
                405, f"HTTP method {request.method} is not supported by this URL", request.path
            )
        if request.path == "/status":
            return status(self._site.profile)
        self.tick()
        try:
            return await self._login.respond(request, self._servlets.get(request.path, self._redirect))
        except NotImplementedError:
            return jetty_error(501, f"The sandbox does not answer {request.path} yet", request.path)
        except ServletError as error:
            return jetty_error(500, str(error), request.path)


def _sessions(options: SandboxOptions) -> Sessions:
    return Sessions(
        round(options.session_ttl_s * 1_000_000),
        calls=options.session_calls,
        per_user=options.max_sessions_per_user,
    )


def _limits(options: SandboxOptions) -> Limits:
    return Limits(
        run_ms=round(options.run_time_ms),
        flow_threads=options.flow_threads,
        queue_size=options.queue_size,
    )


def _nothing(project: Project) -> None:
    """Old versions leave the schedules of flows that are gone."""
