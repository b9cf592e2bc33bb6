"""Projects and their flows.  Pure: no HTTP, no clock, no locks.  As in ProjectManager.java.

Each change is an event that is recorded first and then applied, so that the same events, read back from a
journal, make the same projects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban import flows as files_to_flows
from loadgen.sandbox.azkaban.archive import UnzipError, unzip
from loadgen.sandbox.journal import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from loadgen.sandbox.azkaban.flows import Flow

NAME = re.compile(r"[a-zA-Z][a-zA-Z_0-9|-]*")
MAX_PROJECT_NAME = 64
MAX_FLOW_ID = 128
"""Both are column widths of Azkaban's database."""
RETENTION = 3
"""How many versions before the current one the database keeps."""


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
    owner: str = ""
    """Who created it."""
    version: int = 0
    """Of the upload that its flows come from; 0 before the first."""
    last_version: int = 0
    """Of the last upload that reached the database, also of one that failed there."""
    flows: Mapping[str, Flow] = field(default_factory=dict)
    files: Mapping[str, Flow] | None = None
    """The flows of `version`, while an upload shows its own already; None: they are those."""
    archive: bytes = b""
    """The zip that those of `version` come from."""
    rows: Mapping[int, int] = field(default_factory=dict)
    """How many flows the database holds of each version that it has not deleted yet."""
    locked: frozenset[str] = frozenset()
    """Flows that are not to be executed or scheduled."""
    active: bool = True
    """False once it is deleted."""
    upload_locked: bool = False
    """Whether only the site's privileged user may upload; see `SandboxOptions.upload_user`."""


class Created(Event, frozen=True):
    """A project was created."""

    id: int
    name: str
    description: str
    owner: str
    created_ms: int

    @property
    def subject(self) -> Hashable:
        """This one alone."""
        return "created", self.id


class Uploaded(Event, frozen=True):
    """Its flows were replaced."""

    id: int
    version: int
    user: str
    upload_locked: bool
    rows: dict[int, int]
    locked: frozenset[str]
    archive: bytes

    @property
    def subject(self) -> Hashable:
        """What the project holds."""
        return "held", self.id


class Purged(Event, frozen=True):
    """What it held was dropped."""

    id: int

    @property
    def subject(self) -> Hashable:
        """What the project holds."""
        return "held", self.id


class VersionLost(Event, frozen=True):
    """An upload failed in the database, after it had a version."""

    id: int
    version: int

    @property
    def subject(self) -> Hashable:
        """The last one that was lost."""
        return "lost", self.id


class Deleted(Event, frozen=True):
    """It was deleted."""

    id: int

    @property
    def subject(self) -> Hashable:
        """This one alone."""
        return "deleted", self.id


class FlowLocked(Event, frozen=True):
    """One of its flows was locked, or unlocked."""

    id: int
    flow: str
    locked: bool

    @property
    def subject(self) -> Hashable:
        """The flow's lock."""
        return "locked", self.id, self.flow


EVENTS = (Created, Uploaded, VersionLost, Deleted, Purged, FlowLocked)


class Projects:
    """All projects of one server, deleted ones included."""

    def __init__(self, record: Callable[[Event], None] = lambda _event: None) -> None:
        """`record` is told of every change before it is made."""
        self._record = record
        self._by_id: dict[int, Project] = {}
        self._by_name: dict[str, int] = {}
        """Of those that are not deleted."""

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
        if name.lower() in self._by_name:
            raise ProjectError("Project already exists.")
        if len(name) > MAX_PROJECT_NAME:
            raise ProjectError(f"Insert project{name} for existing project failed. ")
        event = Created(len(self._by_id) + 1, name, description, user, now_ms)
        self._record(event)
        self.apply(event)
        return self._by_id[event.id]

    def find(self, name: str) -> Project | None:
        """The project of that name, in whatever case."""
        number = self._by_name.get(name.lower())
        return None if number is None else self._by_id[number]

    def get(self, number: int) -> Project | None:
        """The project of that id, deleted or not."""
        return self._by_id.get(number)

    def active(self) -> list[Project]:
        """All that are not deleted, oldest first."""
        return [self._by_id[number] for number in self._by_name.values()]

    def retire(self, project: Project) -> None:
        """The first half of a delete: inactive, and still found by its name."""
        self._by_id[project.id] = replace(self._by_id[project.id], active=False)

    def delete(self, project: Project) -> None:
        """Give the name free; the project itself stays, inactive.  Once more does no harm."""
        if self._by_name.get(project.name.lower()) == project.id:
            event = Deleted(project.id)
            self._record(event)
            self.apply(event)

    def purge(self, project: Project) -> None:
        """Drop what a deleted project held."""
        event = Purged(project.id)
        self._record(event)
        self.apply(event)

    def lock(self, number: int, flow: str, *, locked: bool) -> None:
        """Whether a flow may be executed and scheduled."""
        event = FlowLocked(number, flow, locked)
        self._record(event)
        self.apply(event)

    def show(self, number: int, flows: Mapping[str, Flow]) -> None:
        """Have a project hold these flows already, of an upload that sets its version when it is through.

        It is not recorded: to a server that starts anew the upload never was.  Raises ProjectError, as
        `install` does.
        """
        self._admit(number, flows)
        project = self._by_id[number]
        self._by_id[number] = replace(project, flows=flows, files=project.flows)

    def hide(self, number: int) -> None:
        """Have it hold what its version has: the upload came to nothing."""
        project = self._by_id[number]
        if project.files is not None:
            self._by_id[number] = replace(project, flows=project.files, files=None)

    def install(
        self,
        number: int,
        flows: Mapping[str, Flow],
        user: str,
        *,
        archive: bytes = b"",
        upload_locked: bool = False,
    ) -> Project:
        """Replace all flows of a project by these, as its next version.

        Raises ProjectError for a flow that the database does not take: its ids know no case.  The
        flows then stay as they were, and the version number is lost.
        """
        self._admit(number, flows)
        project = self._by_id[number]
        version = project.last_version + 1
        rows = {each: count for each, count in project.rows.items() if each >= version - RETENTION}
        rows[version] = len(flows)
        locked = project.locked.intersection(flows)
        event = Uploaded(number, version, user, upload_locked, rows, locked, archive)
        self._record(event)
        return self._install(event, flows)

    def lose_version(self, number: int) -> None:
        """An upload got its version from the database, and then failed there."""
        event = VersionLost(number, self._by_id[number].last_version + 1)
        self._record(event)
        self.apply(event)

    def apply(self, event: Created | Uploaded | VersionLost | Deleted | Purged | FlowLocked) -> None:
        """Make a change, now or again.  Raises LookupError and ValueError for one that cannot be."""
        match event:
            case Created():
                self._by_id[event.id] = Project(
                    event.id, event.name, event.description, event.owner, event.created_ms, event.owner
                )
                self._by_name[event.name.lower()] = event.id
            case Uploaded():
                try:
                    self._install(event, files_to_flows.load(unzip(event.archive)).flows)
                except UnzipError as error:
                    raise ValueError(str(error)) from error
            case VersionLost():
                self._by_id[event.id] = replace(self._by_id[event.id], last_version=event.version)
            case Deleted():
                project = self._by_id[event.id]
                del self._by_name[project.name.lower()]
                self._by_id[event.id] = replace(project, active=False)
            case Purged():
                project = self._by_id[event.id]
                self._by_id[event.id] = replace(project, flows={}, archive=b"", rows={})
            case FlowLocked():
                project = self._by_id[event.id]
                others = project.locked - {event.flow}
                locked = others | {event.flow} if event.locked else others
                self._by_id[event.id] = replace(project, locked=locked)

    def _admit(self, number: int, flows: Mapping[str, Flow]) -> None:
        taken: set[str] = set()
        for flow in flows:
            folded = flow.lower()
            if folded in taken or len(flow) > MAX_FLOW_ID:
                self.lose_version(number)
                raise ProjectError(f"Error inserting flow {flow}")
            taken.add(folded)

    def _install(self, event: Uploaded, flows: Mapping[str, Flow]) -> Project:
        project = self._by_id[event.id]
        installed = replace(
            project,
            version=event.version,
            last_version=event.version,
            flows=flows,
            files=None,
            locked=event.locked,
            archive=event.archive,
            rows=event.rows,
            user=event.user,
            upload_locked=event.upload_locked,
        )
        self._by_id[event.id] = installed
        return installed
