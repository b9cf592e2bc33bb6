"""Projects and their flows.  Pure: no HTTP, no clock, no locks.  As in ProjectManager.java."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.sandbox.azkaban.flows import Flow

NAME = re.compile(r"[a-zA-Z][a-zA-Z_0-9|-]*")
MAX_PROJECT_NAME = 64
MAX_FLOW_ID = 128
"""Both are column widths of Azkaban's database."""


class ProjectError(Exception):
    """What Azkaban says when it refuses."""


@dataclass(frozen=True, slots=True)
class Project:
    """One project as it stands."""

    id: int
    name: str
    description: str
    user: str
    """Who changed it last."""
    created_ms: int
    """Milliseconds since 1970."""
    version: int = 0
    """Of the upload that its flows come from; 0 before the first."""
    last_version: int = 0
    """Of the last upload that reached the database, also of one that failed there."""
    flows: Mapping[str, Flow] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()
    """Flows that are not to be executed or scheduled."""
    active: bool = True
    """False once it is deleted."""


class Projects:
    """All projects of one server, deleted ones included."""

    def __init__(self) -> None:
        self._by_id: dict[int, Project] = {}
        self._active: dict[str, int] = {}

    def create(self, name: str | None, description: str | None, user: str, now_ms: int) -> Project:
        """A new project without flows.  Raises ProjectError."""
        if not (name or "").strip() or name is None:
            raise ProjectError("Project name cannot be empty.")
        if not (description or "").strip() or description is None:
            raise ProjectError("Description cannot be empty.")
        if not NAME.fullmatch(name):
            raise ProjectError(
                "Project names must start with a letter, "
                "followed by any number of letters, digits, '-' or '_'."
            )
        if name.lower() in self._active:
            raise ProjectError("Project already exists.")
        if len(name) > MAX_PROJECT_NAME:
            raise ProjectError(f"Insert project{name} for existing project failed. ")
        project = Project(len(self._by_id) + 1, name, description, user, now_ms)
        self._by_id[project.id] = project
        self._active[name.lower()] = project.id
        return project

    def find(self, name: str) -> Project | None:
        """The active project of that name, in whatever case."""
        number = self._active.get(name.lower())
        return None if number is None else self._by_id[number]

    def get(self, number: int) -> Project | None:
        """The project of that id, deleted or not."""
        return self._by_id.get(number)

    def active(self) -> list[Project]:
        """All that are not deleted, oldest first."""
        return [self._by_id[number] for number in self._active.values()]

    def delete(self, project: Project) -> None:
        """Give the name free; the project itself stays, inactive."""
        del self._active[project.name.lower()]
        self._by_id[project.id] = replace(self._by_id[project.id], active=False)

    def purge(self, project: Project) -> None:
        """Drop what a deleted project held."""
        self._by_id[project.id] = replace(self._by_id[project.id], flows={})

    def lock(self, number: int, flow: str, *, locked: bool) -> None:
        """Whether a flow may be executed and scheduled."""
        project = self._by_id[number]
        others = project.locked - {flow}
        self._by_id[number] = replace(project, locked=others | {flow} if locked else others)

    def install(self, number: int, flows: Mapping[str, Flow], user: str) -> Project:
        """Replace all flows of a project by these, as its next version.

        Raises ProjectError for a flow that the database does not take: its ids know no case.  The
        flows then stay as they were, and the version number is lost.
        """
        project = self._by_id[number]
        version = project.last_version + 1
        self._by_id[number] = replace(project, last_version=version)
        taken: set[str] = set()
        for flow in flows:
            folded = flow.lower()
            if folded in taken or len(flow) > MAX_FLOW_ID:
                raise ProjectError(f"Error inserting flow {flow}")
            taken.add(folded)
        locked = project.locked.intersection(flows)
        installed = replace(
            project, version=version, last_version=version, flows=flows, locked=locked, user=user
        )
        self._by_id[number] = installed
        return installed
