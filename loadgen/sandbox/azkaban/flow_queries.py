"""/manager: the questions about a flow's executions, jobs and lock.  As in ProjectManagerServlet.java."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.execution_json import summary
from loadgen.sandbox.azkaban.pages import ServletError, needed, needed_integer
from loadgen.sandbox.azkaban.timeline import in_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.sandbox.azkaban.engine import Engine
    from loadgen.sandbox.azkaban.flows import Flow
    from loadgen.sandbox.azkaban.projects import Project, Projects
    from loadgen.sandbox.messages import Request


class FlowQueries:
    """Those commands of /manager that need to know what runs."""

    def __init__(self, projects: Projects, engine: Engine) -> None:
        self._projects = projects
        self._engine = engine
        self._commands: dict[str, Callable[[Project, Request], dict[str, object]]] = {
            "fetchFlowExecutions": self._executions,
            "fetchflowjobs": _jobs,
            "setFlowLock": self._set_lock,
            "isFlowLocked": _lock,
        }

    def ask(self, command: str, project: Project, request: Request) -> dict[str, object]:
        """What is said beside the project.  Raises ServletError."""
        known = self._commands.get(command)
        return known(project, request) if known else {"error": f"Cannot execute command {command}"}

    def _executions(self, project: Project, request: Request) -> dict[str, object]:
        """The newest first; an unknown flow has none."""
        flow = needed(request, "flow")
        start, count = (needed_integer(request, name) for name in ("start", "length"))
        now_ms = self._engine.advance()
        executions = self._engine.executions
        ids = executions.of_flow(project.id, flow)
        last = len(ids) - max(start, 0)
        found = (
            executions.get(number) for number in reversed(ids[max(last - max(count, 0), 0) : max(last, 0)])
        )
        told = [summary(execution, now_ms) for execution in found if execution is not None]
        return {"flow": flow, "total": len(ids), "from": start, "length": count, "executions": told}

    def _set_lock(self, project: Project, request: Request) -> dict[str, object]:
        flow = needed(request, "flowName")
        if flow not in project.flows:
            return {"error": f"Flow {flow} not found in project {project.name}"}
        locked = needed(request, "isLocked").lower() == "true"
        self._projects.lock(project.id, flow, locked=locked)
        return {"isLocked": locked, "flowId": flow}


def _lock(project: Project, request: Request) -> dict[str, object]:
    flow = needed(request, "flowName")
    if flow not in project.flows:
        return {"error": f"Flow {flow} not found in project {project.name}"}
    return {"isLocked": flow in project.locked, "flowId": flow}


def _jobs(project: Project, request: Request) -> dict[str, object]:
    """The jobs of a flow by their level; of an unknown flow Azkaban crashes."""
    flow = project.flows.get(needed(request, "flow"))
    if flow is None:
        raise ServletError("java.lang.NullPointerException")
    levels = _levels(flow)
    dependents: dict[str, list[str]] = {}
    for job in flow.jobs:
        for name in job.dependencies:
            dependents.setdefault(name, []).append(job.name)
    nodes = [
        {
            "id": job.name,
            "dependencies": job.dependencies,
            "dependents": dependents.get(job.name, []),
            "level": levels[job.name],
        }
        for job in sorted(flow.jobs, key=lambda job: levels[job.name])
    ]
    return {"flowId": flow.id, "nodes": nodes, "isLocked": flow.id in project.locked}


def _levels(flow: Flow) -> dict[str, int]:
    """How many jobs have to run one after the other before each."""
    levels: dict[str, int] = {}
    for job in in_order(flow):
        levels[job.name] = max((levels[each] + 1 for each in job.dependencies), default=0)
    return levels
