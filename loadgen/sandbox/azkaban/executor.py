"""/executor: execute flows, and ask about executions.  As in ExecutorServlet.java."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.execution_json import flow_info, flow_update, whole_flow
from loadgen.sandbox.azkaban.executions import Refused
from loadgen.sandbox.azkaban.flow_options import OptionError, admit, parse_options
from loadgen.sandbox.azkaban.pages import ServletError, needed, needed_integer, page, write_json
from loadgen.sandbox.messages import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.sandbox.azkaban.engine import Engine
    from loadgen.sandbox.azkaban.execution import Execution
    from loadgen.sandbox.azkaban.projects import Project, Projects
    from loadgen.sandbox.azkaban.users import Users
    from loadgen.sandbox.messages import FilePart, Request


class Executor:
    """The servlet at /executor; who may not do all with a project may execute, and read, nothing of it."""

    def __init__(self, projects: Projects, engine: Engine, users: Users) -> None:
        self._projects = projects
        self._engine = engine
        self._users = users

    async def get(self, request: Request, user: str) -> Answer:
        """Everything by `ajax`; else a page."""
        if "ajax" not in request.params:
            return page("Azkaban Web Client", "Executing Flows")
        return write_json(self._ask(request, user))

    async def post(self, request: Request, user: str) -> Answer:
        """The same by `ajax`; else nothing is done, nothing is said."""
        return write_json(self._ask(request, user)) if "ajax" in request.params else Answer()

    async def multipart(self, request: Request, parts: Mapping[str, str | FilePart], user: str) -> Answer:
        """Nothing is done, nothing is said."""
        del request, parts, user
        return Answer()

    def _ask(self, request: Request, user: str) -> dict[str, object]:
        now_ms = self._engine.advance()
        command = request.params["ajax"]
        if "execid" in request.params:
            return self._ask_execution(request, user, now_ms)
        if command == "getRunning":
            return self._running(needed(request, "project"), needed(request, "flow"), user)
        if command == "flowInfo":
            return self._flow(needed(request, "project"), needed(request, "flow"), user)
        name = needed(request, "project")
        if command == "executeFlow":
            return {"project": name} | self._execute(request, user)
        return {"project": name}  # whatever was asked: there is no error for a command that is none

    def _ask_execution(self, request: Request, user: str, now_ms: int) -> dict[str, object]:
        number = needed_integer(request, "execid")
        execution = self._engine.executions.get(number)
        if execution is None:
            return {"error": f"Cannot find execution '{number}'"}
        project = self._projects.get(execution.order.project_id)
        match request.params["ajax"]:
            case "fetchexecflow":
                return self._denied(project, user, "READ") or whole_flow(execution, now_ms)
            case "fetchexecflowupdate":
                since_ms = needed_integer(request, "lastUpdateTime", bits=64)
                return self._denied(project, user, "READ") or flow_update(execution, since_ms, now_ms)
            case "flowInfo":
                return self._denied(project, user, "READ") or _info(project, execution, now_ms)
            case "cancelFlow" | "pauseFlow" | "resumeFlow" as command:
                return self._denied(project, user, "EXECUTE") or self._do(command, number, now_ms)
            case _:
                return {}

    def _do(self, command: str, number: int, now_ms: int) -> dict[str, object]:
        """What was refused is under `error`, only resumeFlow has it under `resume`."""
        executions = self._engine.executions
        try:
            match command:
                case "cancelFlow":
                    executions.cancel(number, now_ms)
                case "pauseFlow":
                    executions.pause(number, now_ms)
                case _:
                    executions.resume(number, now_ms)
        except Refused as refused:
            return {"resume" if command == "resumeFlow" else "error": str(refused)}
        return {}

    def _running(self, name: str, flow: str, user: str) -> dict[str, object]:
        project = self._projects.find(name)
        denied = self._denied(project, user, "EXECUTE")
        if denied or project is None:
            return denied
        ids = self._engine.executions.unfinished_of(project.id, flow)
        return {"execIds": ids} if ids else {}

    def _flow(self, name: str, flow: str, user: str) -> dict[str, object]:
        """A flow before it is executed."""
        project = self._projects.find(name)
        denied = self._denied(project, user, "READ")
        if denied or project is None:
            return denied
        if flow not in project.flows:
            return {"error": f"Error loading flow. Flow {flow} doesn't exist in {name}"}
        told: dict[str, object] = {"successEmails": [], "failureEmails": []}
        schedule = self._engine.schedules.find(project.id, flow)
        return told if schedule is None else told | {"scheduled": schedule.next_ms}

    def _execute(self, request: Request, user: str) -> dict[str, object]:
        name, flow_id = needed(request, "project"), needed(request, "flow")
        project = self._projects.find(name)
        if project is None or not self._users.may(user, project):
            return {"error": f"Project '{name}' doesn't exist."}  # also of one that they may not execute
        flow = project.flows.get(flow_id)
        if flow is None:
            where = f"azkaban.project.Project@{project.id:x}"
            return {"flow": flow_id, "error": f"Flow '{flow_id}' cannot be found in project {where}"}
        try:
            options = parse_options(request.params)
        except OptionError as error:
            return {"flow": flow_id, "error": f"Error parsing flow options: {error}"}
        except ValueError as error:
            raise ServletError(str(error)) from error
        try:
            receipt = self._engine.submit(
                project, flow, user, admit(options, admin=self._users.is_admin(user))
            )
        except (OptionError, Refused) as error:
            return {"flow": flow_id, "error": f"Error submitting flow {flow_id}. {error}", "execid": -1}
        return {"flow": flow_id, "message": receipt.message, "execid": receipt.id}

    def _denied(self, project: Project | None, user: str, need: str) -> dict[str, object]:
        """What is said to who asks about a project in vain; empty when they may ask."""
        if project is None:
            return {"error": "Project 'null' not found."}
        if not self._users.may(user, project):
            return {"error": f"User '{user}' doesn't have {need} permissions on {project.name}"}
        return {}


def _info(project: Project | None, execution: Execution, now_ms: int) -> dict[str, object]:
    """Only of a flow that the project still has."""
    order = execution.order
    if project is None or order.flow.id not in project.flows:
        return {"error": f"Error loading flow. Flow {order.flow.id} doesn't exist in {order.project_id}"}
    return flow_info(execution, now_ms)
