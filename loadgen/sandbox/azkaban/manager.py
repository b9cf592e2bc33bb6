"""/manager: create, delete, purge, and the questions about a project.  As in ProjectManagerServlet.java."""

from __future__ import annotations

import asyncio
from dataclasses import replace
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
    from loadgen.sandbox.azkaban.site import Site
    from loadgen.sandbox.azkaban.upload import Upload
    from loadgen.sandbox.messages import FilePart, Request


class Manager:
    """The servlet at /manager."""

    def __init__(self, projects: Projects, upload: Upload, site: Site, clock: Clock, engine: Engine) -> None:
        self._projects = projects
        self._upload = upload
        self._site = site
        self._clock = clock
        self._engine = engine
        self._queries = FlowQueries(projects, engine)

    async def get(self, request: Request, user: str) -> Answer:
        """Questions by `ajax`; `delete` and `purge`, which only a GET can do; else a page."""
        if "ajax" in request.params:
            return self._ask(request, user)
        if "project" not in request.params:
            return page("Azkaban Web Client", "No project set.")
        if "delete" in request.params:
            return await self._delete(request, user)
        if "purge" in request.params:
            return self._purge(request, user)
        return self._page(request, user)

    async def post(self, request: Request, user: str) -> Answer:
        """`ajax` as with GET; `action=create`; anything else does nothing and says nothing."""
        if "ajax" in request.params:
            return self._ask(request, user)
        if request.params.get("action") == "create":
            return self._create(request, user)
        return Answer()

    async def multipart(self, request: Request, parts: Mapping[str, str | FilePart], user: str) -> Answer:
        """An upload; only what is in the body counts."""
        if "ajax" in parts:
            if parts["ajax"] != "upload":
                return write_json({})
            result = await self._upload.install(parts, user)
            answer = write_json(result.said, result.status, flows=result.flows)
            return replace(answer, dropped=True) if result.dropped else answer
        if parts.get("action") == "upload":
            result = await self._upload.install(parts, user)
            kinds = {"error": "failure", "warn": "warn"}
            cookies = [
                message_cookie(kind, result.said[key]) for key, kind in kinds.items() if key in result.said
            ]
            answer = redirect(request, f"/manager?project={parts.get('project')}", *cookies)
            return replace(answer, flows=result.flows, dropped=result.dropped)
        return Answer()

    def _create(self, request: Request, user: str) -> Answer:
        if self._site.faults.fail():
            return write_json({"error": self._site.faults.MESSAGE}, 500)
        name = request.params.get("name")
        if self._site.locks_out("create", user):
            message = f"User {user} doesn't have permission to create projects."
            return create_json_response({"status": "error", "message": message})
        try:
            self._projects.create(name, request.params.get("description"), user, self._clock.now_us() // 1000)
        except ProjectError as error:
            return create_json_response({"status": "error", "message": str(error)})
        return create_json_response(
            {"status": "success", "path": f"manager?project={name}", "action": "redirect"}
        )

    async def _delete(self, request: Request, user: str) -> Answer:
        """Always 302; how it went is only in the cookie."""
        name = needed(request, "project")
        project = self._projects.find(name)
        if project is None:
            return redirect(request, "/", message_cookie("failure", f"Project {name} doesn't exist."))
        if not self._site.users.may(user, project):
            cookie = message_cookie("failure", f"Cannot delete. User '{user}' is not an ADMIN.")
            return redirect(request, f"/manager?project={name}", cookie)
        self._projects.retire(project)
        if self._site.base_cost_s:
            await asyncio.sleep(self._site.base_cost_s)
        self._projects.delete(project)
        self._engine.deleted(project)
        message = f"Project '{name}' was successfully deleted and associated schedules are removed."
        return redirect(request, "/", message_cookie("success", message))

    def _purge(self, request: Request, user: str) -> Answer:
        """By id, since a deleted project has no name any more."""
        asked = needed(request, "project")
        project = self._projects.get(int(asked)) if asked.isdecimal() else self._projects.find(asked)
        if project is None:
            return write_json({"error": "invalid project", "success": False})
        if project.active:
            error = f"Project {project.name} should be deleted before purging"
            return write_json({"error": error, "success": False})
        if not self._site.users.may(user, project):
            error = f"Cannot purge. User '{user}' is not an ADMIN."
            return write_json({"error": error, "success": False})
        self._projects.purge(project)
        return write_json({"success": True})

    def _page(self, request: Request, user: str) -> Answer:
        """The only place that tells how a project is described."""
        name = needed(request, "project")
        project = self._projects.find(name)
        if project is None:
            return page("Azkaban Web Client", f"Project {name} not found.")
        if not self._site.users.may(user, project):
            return page("Azkaban Web Client", f"No permission to view project {name}.")
        return page("Azkaban Web Client", f"Project {project.name}", project.description)

    def _ask(self, request: Request, user: str) -> Answer:
        name = needed(request, "project")
        said: dict[str, object] = {"project": name}
        project = self._projects.find(name)
        if project is None:
            said["error"] = f"Project {name} doesn't exist."
            return write_json(said) if self._site.profile.names_unknown else Answer()
        said["projectId"] = project.id
        if not self._site.users.may(user, project):
            said["error"] = "Permission denied. Need READ access."
            return write_json(said)
        match request.params["ajax"]:
            case "getProjectId":
                pass
            case "fetchprojectflows":
                said["flows"] = [{"flowId": flow.id} for flow in project.flows.values() if not flow.embedded]
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
