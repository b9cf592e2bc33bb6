"""The upload of a project zip: all or nothing, and whole or not at all.  As in AzkabanProjectLoader.java.

Zips of different projects are read side by side; what they hold is put in place one upload after
another in each project, so of two at the same time both succeed and the later one stays.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban import flows
from loadgen.sandbox.azkaban.archive import UnzipError, unzip
from loadgen.sandbox.azkaban.pages import ServletError
from loadgen.sandbox.azkaban.projects import ProjectError
from loadgen.sandbox.messages import FilePart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadgen.sandbox.azkaban.flows import Loaded
    from loadgen.sandbox.azkaban.projects import Project, Projects

ZIP_TYPES = ("application/zip", "application/x-zip-compressed", "application/octet-stream")
SMALL = 32 * 1024
"""A zip of up to so many bytes is read at once: handing it to a thread would take longer."""
MAX_REPORT = 4000
MAX_FAILURE = 512


@dataclass(frozen=True, slots=True)
class Result:
    """How an upload went."""

    status: int
    said: dict[str, str]
    flows: int | None = None
    """How many flows the zip held; None when it was not read."""


class Faults:
    """Which uploads and creates fail for no reason of their own."""

    MESSAGE = "Installation Failed.<br>Fault injected by the sandbox."

    def __init__(self, rate: float, seed: int) -> None:
        self._rate = rate
        self._random = random.Random(seed)  # noqa: S311  (chance, not secrecy)

    def next(self) -> bool:
        """Whether this one fails."""
        return self._random.random() < self._rate


class Upload:
    """Installs what was uploaded."""

    def __init__(
        self, projects: Projects, faults: Faults, installed: Callable[[Project], None] = lambda _: None
    ) -> None:
        """`installed` is told of each project whose flows were replaced."""
        self._projects = projects
        self._faults = faults
        self._installed = installed
        self._locks: dict[int, asyncio.Lock] = {}

    async def install(self, parts: Mapping[str, str | FilePart], user: str) -> Result:
        """Raises ServletError when there is no file."""
        faulty = self._faults.next()
        name = parts.get("project")
        if not isinstance(name, str) or not name:
            return Result(400, {"error": "No project name found."})
        project = self._projects.find(name)
        if project is None:
            return Result(410, {"error": f"Installation Failed. Project '{name} doesn't exist."})
        file = parts.get("file")
        if not isinstance(file, FilePart):
            raise ServletError(
                "java.lang.NullPointerException" if file is None else "java.lang.ClassCastException"
            )
        refusal = _refusal(file)
        if refusal:
            return Result(400, {"error": refusal})
        if faulty:
            return self._said(project, self._faults.MESSAGE, None)
        return await self._install(project, file.data, user)

    async def _install(self, project: Project, data: bytes, user: str) -> Result:
        try:
            loaded = _read(data) if len(data) <= SMALL else await asyncio.to_thread(_read, data)
        except UnzipError:
            return self._said(project, _failure("Error unzipping file."), None)
        except ValueError as error:
            return self._said(project, _failure(str(error)), None)
        if loaded.errors:
            return self._said(project, _report(loaded.errors), len(loaded.flows))
        # Azkaban's synchronized(project).  Nothing inside waits yet; whatever will, waits in turn.
        async with self._locks.setdefault(project.id, asyncio.Lock()):
            try:
                self._installed(self._projects.install(project.id, loaded.flows, user))
            except ProjectError as error:
                return self._said(project, _failure(str(error)), len(loaded.flows))
        return self._said(project, None, len(loaded.flows))

    def _said(self, project: Project, error: str | None, flows_found: int | None) -> Result:
        """Ids and versions are strings here; the version is read late, and may be another upload's."""
        now = self._projects.get(project.id) or project
        said = {"projectId": str(now.id), "version": str(now.version)}
        if error is None:
            return Result(200, said, flows_found)
        return Result(500, {"error": error} | said, flows_found)


def _read(data: bytes) -> Loaded:
    return flows.load(unzip(data))


def _refusal(file: FilePart) -> str | None:
    """What is wrong with the part's name or type."""
    _, _, extension = file.filename.rpartition("/")[2].rpartition("\\")[2].rpartition(".")
    extension = extension.lower() if "." in file.filename else ""
    if extension != "zip":
        return f"File extension '{extension}' unrecognized."
    if file.content_type is None or not file.content_type.startswith(ZIP_TYPES):
        shown = "null" if file.content_type is None else file.content_type
        return f"Content type '{shown}' does not match extension '{extension}'"
    return None


def _report(errors: tuple[str, ...]) -> str:
    report = "Validator Directory Flow reports errors:<br><br>" + "".join(f"{each}<br>" for each in errors)
    return report[:MAX_REPORT]


def _failure(message: str) -> str:
    if len(message) > MAX_FAILURE:
        message = message[:MAX_FAILURE] + "<br>Too many errors to display.<br>"
    return f"Installation Failed.<br>{message}"
