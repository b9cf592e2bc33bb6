"""The web server as a whole: which servlet a path belongs to.  As in AzkabanWebServer.java."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.engine import Engine
from loadgen.sandbox.azkaban.executions import Limits
from loadgen.sandbox.azkaban.executor import Executor
from loadgen.sandbox.azkaban.history import History
from loadgen.sandbox.azkaban.index import Index, NotYet, Redirect
from loadgen.sandbox.azkaban.jmx import Jmx
from loadgen.sandbox.azkaban.login import Login
from loadgen.sandbox.azkaban.manager import Manager
from loadgen.sandbox.azkaban.pages import ServletError, jetty_error
from loadgen.sandbox.azkaban.projects import Projects
from loadgen.sandbox.azkaban.schedule import ScheduleServlet
from loadgen.sandbox.azkaban.sessions import Sessions
from loadgen.sandbox.azkaban.status import status
from loadgen.sandbox.azkaban.upload import Faults, Upload

if TYPE_CHECKING:
    from loadgen.clock import Clock
    from loadgen.sandbox.azkaban.login import Servlet
    from loadgen.sandbox.messages import Answer, Request
    from loadgen.sandbox.options import SandboxOptions

NOT_YET = frozenset({"/triggers", "/flowtrigger", "/flowtriggerinstance", "/stats", "/notes"})
"""Routes of the real server that the sandbox has no servlet for; better a clear word than a wrong answer."""
THREADS = 20
"""Of Jetty's pool."""


class Azkaban:
    """A target for the front."""

    def __init__(self, options: SandboxOptions, clock: Clock) -> None:
        projects = Projects()
        faults = Faults(options.fail_rate, options.seed)
        self._login = Login(options.user, options.password, Sessions(), clock)
        limits = Limits(
            run_ms=round(options.run_time_ms),
            flow_threads=options.flow_threads,
            queue_size=options.queue_size,
        )
        self._engine = Engine(projects, limits, max(1, round(options.scan_interval_s * 1000)), clock)
        upload = Upload(projects, faults, self._engine.uploaded)
        self._redirect = Redirect()
        self._servlets: dict[str, Servlet] = dict.fromkeys(NOT_YET, NotYet()) | {
            "/index": Index(projects),
            "/manager": Manager(projects, upload, faults, clock, self._engine),
            "/executor": Executor(projects, self._engine, options.user),
            "/schedule": ScheduleServlet(projects, self._engine, options.user),
            "/history": History(self._engine),
            "/jmx": Jmx(self._engine, THREADS),
        }

    def tick(self) -> None:
        """Before each request, and now and then without one: what is due by now happens now."""
        self._engine.advance()

    async def respond(self, request: Request) -> Answer:
        """An answer to everything; what a servlet cannot answer, Jetty does."""
        known = {"GET", "HEAD"} if request.path == "/status" else {"GET", "HEAD", "POST"}
        if request.method not in known:
            return jetty_error(
                405, f"HTTP method {request.method} is not supported by this URL", request.path
            )
        if request.path == "/status":
            return status()
        self.tick()
        try:
            return await self._login.respond(request, self._servlets.get(request.path, self._redirect))
        except NotImplementedError:
            return jetty_error(501, f"The sandbox does not answer {request.path} yet", request.path)
        except ServletError as error:
            return jetty_error(500, str(error), request.path)
