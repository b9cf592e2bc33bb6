"""/index: lists of projects; and the redirect to it from paths that are none.  As in ProjectServlet.java."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.pages import page, redirect, write_json
from loadgen.sandbox.messages import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.sandbox.azkaban.projects import Project, Projects
    from loadgen.sandbox.messages import FilePart, Request


class Index:
    """The servlet at /index."""

    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    async def get(self, request: Request, user: str) -> Answer:
        """`ajax=fetchallprojects` and `ajax=fetchuserprojects`; an unknown `ajax` is no error."""
        command = request.params.get("ajax")
        if command is None:
            return page("Azkaban Web Client", "Projects")
        if command == "fetchallprojects":
            return write_json({"projects": [_simplified(project) for project in self._projects.active()]})
        if command == "fetchuserprojects":
            owner = request.params.get("user") or user
            return write_json(
                {"projects": [_simplified(each) for each in self._projects.active() if each.owner == owner]}
            )
        return write_json({})

    async def post(self, request: Request, user: str) -> Answer:
        """Nothing is done, nothing is said."""
        del request, user
        return Answer()

    async def multipart(self, request: Request, parts: Mapping[str, str | FilePart], user: str) -> Answer:
        """The same."""
        del request, parts, user
        return Answer()


class Redirect:
    """The servlet at every path that has no other."""

    async def get(self, request: Request, user: str) -> Answer:
        """302."""
        del user
        return redirect(request, "/index")

    post = get

    async def multipart(self, request: Request, parts: Mapping[str, str | FilePart], user: str) -> Answer:
        """Nothing is done, nothing is said."""
        del request, parts, user
        return Answer()


class NotYet:
    """The servlet at paths that the real server answers and the sandbox does not."""

    async def get(self, request: Request, user: str) -> Answer:
        """A clear word is better than a wrong answer."""
        del user
        raise NotImplementedError(request.path)

    post = get

    async def multipart(self, request: Request, parts: Mapping[str, str | FilePart], user: str) -> Answer:
        """The same."""
        del parts
        return await self.get(request, user)


def _simplified(project: Project) -> dict[str, object]:
    return {
        "projectId": project.id,
        "projectName": project.name,
        "createdBy": project.user,
        "createdTime": project.created_ms,
        "userPermissions": [{"first": project.owner, "second": {"types": ["ADMIN"]}}],
        "groupPermissions": [],
    }
