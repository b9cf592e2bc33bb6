"""The upload of a project zip: all or nothing, and whole or not at all.  As in AzkabanProjectLoader.java.

Zips of different projects are read side by side; what they hold is put in place one upload after
another in each project, so of two at the same time both succeed and the later one stays.  What the
database of a production system takes for that, the site says: it is waited for, not worked for.  By then
the new flows are there to be seen and executed, though not yet the version whose files they need.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban import flows
from loadgen.sandbox.azkaban.archive import UnzipError, unzip
from loadgen.sandbox.azkaban.pages import ServletError
from loadgen.sandbox.azkaban.projects import ProjectError
from loadgen.sandbox.azkaban.reports import FLOWS, SITE, cut, failure, line_ends, listed
from loadgen.sandbox.messages import FilePart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadgen.sandbox.azkaban.flows import Loaded
    from loadgen.sandbox.azkaban.projects import Project, Projects
    from loadgen.sandbox.azkaban.site import Site

ZIP_TYPES = ("application/zip", "application/x-zip-compressed", "application/octet-stream")
SMALL = 32 * 1024
"""A zip of up to so many bytes is read at once: handing it to a thread would take longer."""


@dataclass(frozen=True, slots=True)
class Result:
    """How an upload went."""

    status: int
    said: dict[str, str]
    flows: int | None = None
    """How many flows the zip held; None when it was not read."""
    dropped: bool = False
    """Whether nobody is to hear of it."""


class Refused(Exception):
    """An upload that is refused before its zip is read: status, and what is said."""

    def __init__(self, status: int, error: str, **said: str) -> None:
        super().__init__(error)
        self.result = Result(status, {"error": error, **said})


class Upload:
    """Installs what was uploaded."""

    def __init__(
        self, projects: Projects, site: Site, installed: Callable[[Project], None] = lambda _project: None
    ) -> None:
        """`installed` is told of each project whose flows were replaced."""
        self._projects = projects
        self._site = site
        self._installed = installed
        self._read = _read_and_validate if site.validator else _read
        self._locks: dict[int, asyncio.Lock] = {}

    async def install(self, parts: Mapping[str, str | FilePart], user: str) -> Result:
        """Raises ServletError when there is no file."""
        faulty = self._site.faults.fail()
        try:
            project = self._project(parts.get("project"), user)
            file = self._file(parts.get("file"), project)
        except Refused as refused:
            return refused.result
        if faulty:
            return self._said(project, self._site.faults.MESSAGE, None)
        read, data = self._read, file.data
        try:
            loaded, found = read(data) if len(data) <= SMALL else await asyncio.to_thread(read, data)
        except (UnzipError, ValueError) as error:
            message = "Error unzipping file." if isinstance(error, UnzipError) else str(error)
            return self._said(project, failure(message), None)
        mend = parts.get("fix") != "off"
        errors = "" if mend else listed(SITE, "errors", found, self._site.profile)
        errors += listed(FLOWS, "errors", loaded.errors, self._site.profile)
        warning = cut(listed(SITE, "warnings", found, self._site.profile)) if mend else ""
        if errors:
            return self._said(project, cut(errors), len(loaded.flows), warning)
        return await self._persist(project, loaded, data, user, warning)

    def _project(self, name: str | FilePart | None, user: str) -> Project:
        """The project, when it is there and takes uploads of this user.  Raises Refused."""
        if not isinstance(name, str) or not name:
            raise Refused(400, "No project name found.")
        profile = self._site.profile
        project = self._projects.find(name)
        if project is None:
            raise Refused(profile.unknown_project_status, profile.unknown_project.format(name))
        if not project.active:
            raise Refused(410, f"Installation Failed. Project '{name} was already removed.")
        if self._site.locks_out("upload", user):
            raise Refused(
                403,
                "Project uploading is locked out. Only admin users and users with special permissions can "
                f"upload projects. User {user} doesn't have permission to upload project.",
            )
        if not self._site.users.may(user, project):
            raise Refused(400, f"Installation Failed. User '{user}' does not have write access.")
        if project.upload_locked and user != self._site.upload_user:
            raise Refused(403, _UPLOAD_LOCK.format(name))
        return project

    def _file(self, file: str | FilePart | None, project: Project) -> FilePart:
        """The zip, going by the part's name and type.  Raises Refused, and ServletError for none."""
        if not isinstance(file, FilePart):
            raise ServletError(
                "java.lang.NullPointerException" if file is None else "java.lang.ClassCastException"
            )
        refusal = _refusal(file) if self._site.profile.checks_extension else None
        if refusal:
            raise Refused(400, refusal)
        if file.content_type is None or not file.content_type.startswith(ZIP_TYPES):
            shown = "null" if file.content_type is None else file.content_type
            if self._site.profile.checks_extension:
                raise Refused(400, f"Content type '{shown}' does not match extension 'zip'")
            raise Refused(400, f"File type {shown} unrecognized.", projectId=str(project.id))
        return file

    async def _persist(
        self, project: Project, loaded: Loaded, data: bytes, user: str, warning: str
    ) -> Result:
        """Into the database, under Azkaban's synchronized(project), and clean up old versions after it."""
        site, count = self._site, len(loaded.flows)
        async with self._locks.setdefault(project.id, asyncio.Lock()):
            before = sum((self._projects.get(project.id) or project).rows.values())
            cost_s = site.base_cost_s + site.cost_per_flow_s * count
            try:
                await self._replace(project.id, loaded, data, user, cost_s)
            except ProjectError as error:
                return self._said(project, failure(str(error)), count)
            installed = self._projects.get(project.id) or project
            self._installed(installed)
        deleted = before + count - sum(installed.rows.values())
        if deleted and site.cost_per_flow_s:
            await asyncio.sleep(site.cost_per_flow_s * deleted)
        return self._said(project, None, count, warning)

    async def _replace(self, number: int, loaded: Loaded, data: bytes, user: str, cost_s: float) -> None:
        """The flows, then what that costs, then the version; or the version with the flows, as it was once.

        Raises ProjectError.
        """
        projects, site = self._projects, self._site
        try:
            if loaded.unstorable:
                projects.lose_version(number)
                raise ProjectError(loaded.unstorable)
            if site.profile.version_last:
                projects.show(number, loaded.flows)
            else:
                self._set_version(number, loaded, data, user)
        finally:
            if cost_s:
                await asyncio.sleep(cost_s)
        if site.profile.version_last:
            self._set_version(number, loaded, data, user)

    def _set_version(self, number: int, loaded: Loaded, data: bytes, user: str) -> None:
        """Raises ProjectError, and OSError when it cannot be recorded: then nothing was uploaded."""
        locked = user == self._site.upload_user
        try:
            self._projects.install(number, loaded.flows, user, archive=data, upload_locked=locked)
        finally:
            self._projects.hide(number)  # unless it went well

    def _said(self, project: Project, error: str | None, count: int | None, warning: str = "") -> Result:
        """Ids and versions are strings here; the version is read late, and may be another upload's."""
        now = self._projects.get(project.id) or project
        said = {"projectId": str(now.id), "version": str(now.version)}
        if warning:
            said["warn"] = warning
        if error is not None:
            return Result(500, {"error": error} | said, count)
        return Result(200, said, count, self._site.faults.drop())


def _read(data: bytes) -> tuple[Loaded, list[str]]:
    return flows.load(unzip(data)), []


def _read_and_validate(data: bytes) -> tuple[Loaded, list[str]]:
    files = unzip(data)
    return flows.load(files), line_ends(files)


def _refusal(file: FilePart) -> str | None:
    """What is wrong with the part's name."""
    _, _, extension = file.filename.rpartition("/")[2].rpartition("\\")[2].rpartition(".")
    extension = extension.lower() if "." in file.filename else ""
    return None if extension == "zip" else f"File extension '{extension}' unrecognized."


_UPLOAD_LOCK = (
    "Installation Failed. Project '{} has UPLOAD LOCK on. \n"
    "Create a new project to use adhoc upload feature, "
    "as crt deployed project would be automatically locked.\n"
    "If you really need enable adhoc upload on the current project, "
    "please contact oncall to remove this lock."
)
