"""/mammut/jobs: the original story's front end, which adds a job to a project by uploading it all anew.

A tester called it 10000 times: under a second each at first, near three after a thousand jobs in one
project.  It is no part of Azkaban, only of this sandbox, and only where it is asked for.
"""

from __future__ import annotations

import asyncio
import io
import re
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.archive import unzip
from loadgen.sandbox.azkaban.flows import JOB
from loadgen.sandbox.azkaban.pages import write_json
from loadgen.sandbox.messages import Answer, FilePart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.sandbox.azkaban.projects import Project, Projects
    from loadgen.sandbox.azkaban.site import Site
    from loadgen.sandbox.azkaban.upload import Upload
    from loadgen.sandbox.messages import Request

PATH = "/mammut/jobs"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class Mammut:
    """The servlet at /mammut/jobs."""

    def __init__(self, projects: Projects, upload: Upload, site: Site) -> None:
        self._projects = projects
        self._upload = upload
        self._site = site
        self._locks: dict[int, asyncio.Lock] = {}

    async def get(self, request: Request, user: str) -> Answer:
        """There is nothing to read here."""
        del request, user
        return _error("POST project, name and command", 405)

    async def post(self, request: Request, user: str) -> Answer:
        """Create a job: form fields `project`, `name`, and `command`, without which the job does nothing."""
        name, asked = request.params.get("name", ""), request.params.get("project", "")
        project = self._projects.find(asked)
        if not NAME.fullmatch(name):
            return _error(f"'{name}' is no name for a job: letters, digits, '_', '-' and '.'")
        if project is None or not project.active or not self._site.users.may(user, project):
            return _error(f"Project {asked} doesn't exist.")
        async with self._locks.setdefault(project.id, asyncio.Lock()):
            return await self._create(project, name, request.params.get("command", ""), user)

    async def multipart(self, request: Request, parts: Mapping[str, str | FilePart], user: str) -> Answer:
        """The same, from the parts."""
        fields = {name: part for name, part in parts.items() if isinstance(part, str)}
        return await self.post(replace(request, params=fields), user)

    async def _create(self, project: Project, name: str, command: str, user: str) -> Answer:
        """Unpack what the project holds now, change it, pack it, upload it; and take as long as is set.

        Our own work is a part of that time, so that costs which are scaled down stay in proportion.
        """
        began_s = asyncio.get_running_loop().time()
        stored = (self._projects.get(project.id) or project).archive
        files = await asyncio.to_thread(unzip, stored) if stored else {}
        if f"{name}{JOB}" in files:
            return _error(f"Job {name} already exists in project {project.name}.")
        jobs = sum(path.endswith(JOB) for path in files)
        cost_s = self._site.front_base_cost_s + self._site.front_cost_per_job_s * jobs
        files[f"{name}{JOB}"] = _job(command)
        packed = await asyncio.to_thread(_zip, files)
        part = FilePart(f"{project.name}.zip", "application/zip", packed)
        result = await self._upload.install({"project": project.name, "file": part}, user)
        await asyncio.sleep(began_s + cost_s - asyncio.get_running_loop().time())
        if "error" in result.said:
            return _error(result.said["error"], result.status)
        said = {"status": "success", "project": project.name, "job": name, "version": result.said["version"]}
        return replace(write_json(said, flows=result.flows), dropped=result.dropped)


def _error(message: str, status: int = 200) -> Answer:
    """Azkaban's manners: 200 for most errors, which are in the body."""
    return write_json({"status": "error", "message": message}, status)


def _job(command: str) -> bytes:
    if not command:
        return b"type=noop\n"
    escaped = command.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")
    return f"type=command\ncommand={escaped}\n".encode("latin-1", "replace")


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path), data)
    return buffer.getvalue()
