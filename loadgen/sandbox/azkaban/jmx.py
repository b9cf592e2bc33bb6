"""/jmx: the server's figures.  As in JMXHttpServlet.java."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.pages import page, write_json
from loadgen.sandbox.messages import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadgen.sandbox.azkaban.engine import Engine
    from loadgen.sandbox.azkaban.profile import Profile
    from loadgen.sandbox.connections import Threads
    from loadgen.sandbox.messages import FilePart, Request

TRIGGERS = "azkaban.jmx.JmxTriggerManager:name=triggerManager"
JETTY = "azkaban.jmx.JmxJettyServer:name=jetty"
CONTROLLER = "azkaban.jmx.JmxExecutionController:name=executionController"
MANAGER = "azkaban.jmx.JmxExecutorManager:name=executorManager"
"""Who has the figures of executions: the first where executors poll, the second where it pushes to them."""


class Jmx:
    """The servlet at /jmx; any session will do."""

    def __init__(self, engine: Engine, threads: Threads, profile: Profile) -> None:
        self._engine = engine
        self._threads = threads
        self._beans: dict[str, Callable[[], dict[str, object]]] = {
            JETTY: self._jetty,
            TRIGGERS: self._triggers,
            CONTROLLER if profile.polls else MANAGER: self._executions,
        }

    async def get(self, request: Request, user: str) -> Answer:
        """Names of beans, and all attributes of one."""
        del user
        if "ajax" not in request.params:
            return page("Azkaban Web Client", "JMX")
        name = request.params.get("mBean")
        match request.params["ajax"]:
            case "getMBeans":
                return write_json({"mbeans": list(self._beans)})
            case "getAllMBeanAttributes":
                return write_json(self._attributes(name))
            case _:
                return write_json({"commands": ["getMBeans", "getAllMBeanAttributes&mBean=<name>"]})

    async def post(self, request: Request, user: str) -> Answer:
        """Nothing is done, nothing is said."""
        del request, user
        return Answer()

    async def multipart(self, request: Request, parts: Mapping[str, str | FilePart], user: str) -> Answer:
        """The same."""
        del request, parts, user
        return Answer()

    def _attributes(self, name: str | None) -> dict[str, object]:
        if name is None:
            return {"error": "Parameters 'mbean' must be set"}
        if name not in self._beans:
            return {"error": f"'{name}' is not a valid mBean name"}
        return {"attributes": dict(sorted(self._beans[name]().items()))}

    def _triggers(self) -> dict[str, object]:
        now_ms = self._engine.advance()
        schedules = self._engine.schedules
        return {
            "NumTriggers": len(schedules),
            "TriggerIds": ",".join(str(schedule.id) for schedule in schedules.all()),
            "TriggerSources": "SimpleTimeTrigger" if len(schedules) else "",
            "ScannerIdleTime": now_ms - self._engine.scanned_ms(now_ms),
            "LastRunnerThreadCheckTime": self._engine.scanned_ms(now_ms),
            "RunnerThreadActive": True,
            "ScannerThreadStage": "Done flipping through all triggers.",
            "PrimaryTriggerHostPort": "local",
        }

    def _executions(self) -> dict[str, object]:
        """Running are all that are not over, those in the queue included."""
        self._engine.advance()
        waiting, running = self._engine.executions.waiting(), self._engine.executions.running()
        return {
            "NumRunningFlows": len(waiting) + len(running),
            "RunningFlows": str(sorted(waiting + running)),
            "QueuedFlows": str(waiting),
            "PrimaryExecutorHostPorts": ["localhost:12321"],
        }

    def _jetty(self) -> dict[str, object]:
        """A thread is idle that has no connection; one that has an idle connection is not."""
        threads = self._threads
        return {
            "Running": True,
            "Failed": False,
            "Stopped": False,
            "NumThreads": threads.total,
            "NumIdleThreads": threads.total - threads.busy,
            "ConnectionsOpen": threads.connections,
        }
