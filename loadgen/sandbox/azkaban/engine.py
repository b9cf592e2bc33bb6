"""What goes on behind the servlets: executions and schedules on one clock.

Nothing happens by itself.  Whoever asks brings everything up to the present first, and so does the
server's tick; the scanner's rounds in between are made up for at the times that they were due, so that
what comes out does not depend on when somebody asked.  A round fires one schedule after the other, and
nothing else is answered meanwhile: Azkaban's scanner, too, holds a lock that schedule calls wait for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.execution import Order
from loadgen.sandbox.azkaban.executions import Executions, Limits, Receipt, Refused
from loadgen.sandbox.azkaban.flows import run_by, with_embedded
from loadgen.sandbox.azkaban.profile import NEWEST
from loadgen.sandbox.azkaban.schedules import Schedules

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.clock import Clock
    from loadgen.sandbox.azkaban.flow_options import FlowOptions
    from loadgen.sandbox.azkaban.flows import Flow
    from loadgen.sandbox.azkaban.profile import Profile
    from loadgen.sandbox.azkaban.projects import Project, Projects
    from loadgen.sandbox.azkaban.schedules import Schedule
    from loadgen.sandbox.journal import Event


class Engine:
    """The executions and schedules of one server."""

    def __init__(
        self,
        projects: Projects,
        limits: Limits,
        scan_ms: int,
        clock: Clock,
        record: Callable[[Event], None] = lambda _event: None,
        profile: Profile = NEWEST,
    ) -> None:
        """See `Executions` for `record`."""
        self.executions = Executions(limits, record, profile)
        self.schedules = Schedules(record)
        self._projects = projects
        self._scan_ms = scan_ms
        self._clock = clock
        self._since_ms = clock.now_us() // 1000

    def advance(self) -> int:
        """Bring everything up to the present; milliseconds since 1970."""
        now_ms = self._clock.now_us() // 1000
        while (due_ms := self.schedules.next_due_ms()) is not None:
            round_ms = self._round_at_or_after(due_ms)
            if round_ms > now_ms:
                break
            for schedule in self.schedules.due(round_ms):
                self._look_at(schedule, round_ms)
        self.executions.advance(now_ms)
        return now_ms

    def submit(self, project: Project, flow: Flow, user: str, options: FlowOptions) -> Receipt:
        """Have a flow executed now.  Raises Refused."""
        return self._submit(project, flow, user, options, self.advance())

    def uploaded(self, project: Project) -> None:
        """The flows of a project were replaced: schedules of those that are gone go, too."""
        self.schedules.keep_only(project.id, project.flows)

    def deleted(self, project: Project) -> None:
        """A project was deleted: its schedules go, what runs goes on."""
        self.schedules.remove_project(project.id)

    def scanned_ms(self, now_ms: int) -> int:
        """When the scanner's last round was, milliseconds since 1970."""
        return now_ms - (now_ms - self._since_ms) % self._scan_ms

    def _round_at_or_after(self, time_ms: int) -> int:
        """Rounds are at whole multiples of the interval since the server's start."""
        rounds = max(1, -((self._since_ms - time_ms) // self._scan_ms))
        return self._since_ms + rounds * self._scan_ms

    def _look_at(self, schedule: Schedule, now_ms: int) -> None:
        """Fire it, as somebody would who called executeFlow; a refusal is nobody's business.

        The end is looked at first: what was due before it and is found after it does not fire.
        """
        if schedule.terms.end_ms < now_ms:
            self.schedules.remove(schedule.id)
            return
        terms = schedule.terms
        self.schedules.fire(schedule.id, now_ms)
        project = self._projects.get(terms.project_id)
        flow = None if project is None else project.flows.get(terms.flow)
        if project is None or flow is None:
            return
        try:
            self._submit(project, flow, terms.user, terms.options, now_ms)
        except Refused:
            return

    def _submit(self, project: Project, flow: Flow, user: str, options: FlowOptions, now_ms: int) -> Receipt:
        if flow.id in project.locked:
            return Receipt(-1, f"Flow {flow.id} for project {project.name} is locked.")
        # Nobody's mails are known here, so that only those remain that take the place of the flow's own.
        options = replace(
            options,
            success_emails=options.success_emails if options.success_emails_override else (),
            failure_emails=options.failure_emails if options.failure_emails_override else (),
            mail_creator="default",
        )
        flows = with_embedded(flow, project.flows)
        if project.files is not None:
            flows = run_by(flows, project.files)
        version = project.version
        order = Order(project.id, project.name, version, flows[flow.id], flows, user, options)
        return self.executions.submit(order, now_ms)
