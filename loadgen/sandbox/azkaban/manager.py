"""/manager: create, delete, purge, and the questions about a project.  As in ProjectManagerServlet.java."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.flow_queries import FlowQueries
from loadgen.sandbox.azkaban.pages import (
    create_json_response,
    message_cookie,
    needed,
    page,
    redirect,
    write_json,
)
from loadgen.sandbox.azkaban.projects import ProjectError
from loadgen.sandbox.messages import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.clock import Clock
    from loadgen.sandbox.azkaban.engine import Engine
    from loadgen.sandbox.azkaban.projects import Project, Projects
    from loadgen.sandbox.azkaban.upload import Faults, Upload
    from loadgen.sandbox.messages import FilePart, Request


class Manager:
    """The servlet at /manager."""

    def __init__(
        self, projects: Projects, upload: Upload, faults: Faults, clock: Clock, engine: Engine
    ) -> None:
        self._projects = projects
        self._upload = upload
        self._faults = faults
        self._clock = clock
        self._engine = engine
        self._queries = FlowQueries(projects, engine)

    async def get(self, request: Request, user: str) -> Answer:
        """Questions by `ajax`; `delete` and `purge`, which only a GET can do; else a page."""
        del user  # the only one there is may do everything
        if "ajax" in request.params:
            return self._ask(request)
        if "project" not in request.params:
            return page("Azkaban Web Client", "No project set.")
        if "delete" in request.params:
            return self._delete(request)
        if "purge" in request.params:
            return self._purge(request)
        return self._page(request)

    async def post(self, request: Request, user: str) -> Answer:
        """`ajax` as with GET; `action=create`; anything else does nothing and says nothing."""
        if "ajax" in request.params:
            return self._ask(request)
        if request.params.get("action") == "create":
            return self._create(request, user)
        return Answer()

    async def multipart(self, request: Request, parts: Mapping[str, str | FilePart], user: str) -> Answer:
        """An upload; only what is in the body counts."""
        if "ajax" in parts:
            if parts["ajax"] != "upload":
                return write_json({})
            result = await self._upload.install(parts, user)
            return write_json(result.said, result.status, flows=result.flows)
        if parts.get("action") == "upload":
            result = await self._upload.install(parts, user)
            cookies = [message_cookie("failure", result.said["error"])] if "error" in result.said else []
            answer = redirect(request, f"/manager?project={parts.get('project')}", *cookies)
            return Answer(answer.status, headers=answer.headers, flows=result.flows)
        return Answer()

    def _create(self, request: Request, user: str) -> Answer:
        if self._faults.next():
            return write_json({"error": self._faults.MESSAGE}, 500)
        name = request.params.get("name")
        try:
            self._projects.create(name, request.params.get("description"), user, self._clock.now_us() // 1000)
        except ProjectError as error:
            return create_json_response({"status": "error", "message": str(error)})
        return create_json_response(
            {"status": "success", "path": f"manager?project={name}", "action": "redirect"}
        )

    def _delete(self, request: Request) -> Answer:
        """Always 302; how it went is only in the cookie."""
        name = needed(request, "project")
        project = self._projects.find(name)
        if project is None:
            return redirect(request, "/", message_cookie("failure", f"Project {name} doesn't exist."))
        self._projects.delete(project)
        self._engine.deleted(project)
        message = f"Project '{name}' was successfully deleted and associated schedules are removed."
        return redirect(request, "/", message_cookie("success", message))

    def _purge(self, request: Request) -> Answer:
        """By id, since a deleted project has no name any more."""
        asked = needed(request, "project")
        project = self._projects.get(int(asked)) if asked.isdecimal() else self._projects.find(asked)
        if project is None:
            return write_json({"error": "invalid project", "success": False})
        if project.active:
            error = f"Project {project.name} should be deleted before purging"
            return write_json({"error": error, "success": False})
        self._projects.purge(project)
        return write_json({"success": True})

    def _page(self, request: Request) -> Answer:
        name = needed(request, "project")
        known = self._projects.find(name) is not None
        return page("Azkaban Web Client", f"Project {name}" if known else f"Project {name} not found.")

    def _ask(self, request: Request) -> Answer:
        name = needed(request, "project")
        said: dict[str, object] = {"project": name}
        project = self._projects.find(name)
        if project is None:
            said["error"] = f"Project {name} doesn't exist."
            return write_json(said)
        said["projectId"] = project.id
        match request.params["ajax"]:
            case "getProjectId":
                pass
            case "fetchprojectflows":
                said["flows"] = [{"flowId": flow} for flow in project.flows]
            case "fetchflowgraph":
                said |= _graph(project, needed(request, "flow"))
            case command:
                said |= self._queries.ask(command, project, request)
        return write_json(said)


def _graph(project: Project, flow_id: str) -> dict[str, object]:
    """The jobs of a flow, sorted by name; those of a flow that stands in for a job are inside it."""
    flow = project.flows.get(flow_id)
    if flow is None:
        return {"error": f"Flow {flow_id} not found in project {project.name}"}
    nodes: list[dict[str, object]] = []
    for job in flow.jobs:
        node: dict[str, object] = {"id": job.name, "type": job.type}
        if job.condition is not None:
            node["condition"] = job.condition
        if job.embeds is not None:
            node |= {"flowId": job.embeds} | _graph(project, job.embeds)
        if job.dependencies:
            node["in"] = sorted(job.dependencies)
        nodes.append(node)
    return {"flow": flow_id, "nodes": nodes}
