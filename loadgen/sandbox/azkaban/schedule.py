"""/schedule: have flows executed again and again.  As in ScheduleServlet.java."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.execution_json import options_json
from loadgen.sandbox.azkaban.flow_options import FlowOptions, OptionError, admit, parse_options
from loadgen.sandbox.azkaban.java import date, integer_or
from loadgen.sandbox.azkaban.pages import message_cookie, needed, needed_integer, page, write_json
from loadgen.sandbox.azkaban.quartz import CronError
from loadgen.sandbox.azkaban.schedules import END_MS, Terms
from loadgen.sandbox.messages import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.sandbox.azkaban.engine import Engine
    from loadgen.sandbox.azkaban.projects import Projects
    from loadgen.sandbox.azkaban.schedules import Schedule
    from loadgen.sandbox.azkaban.site import Site
    from loadgen.sandbox.messages import FilePart, Request

Said = dict[str, object]


class ScheduleServlet:
    """The servlet at /schedule; to schedule and to remove one must be allowed all with the project."""

    def __init__(self, projects: Projects, engine: Engine, site: Site) -> None:
        self._projects = projects
        self._engine = engine
        self._users = site.users
        self._makes_up = site.profile.makes_up

    async def get(self, request: Request, user: str) -> Answer:
        """Everything by `ajax`; else a page."""
        if "ajax" not in request.params:
            return page("Azkaban Web Client", "Scheduled Flows")
        return write_json(self._ask(request, user))

    async def post(self, request: Request, user: str) -> Answer:
        """The same by `ajax`; `action` can schedule and remove, and leaves its message in a cookie, too."""
        if "ajax" in request.params:
            return write_json(self._ask(request, user))
        now_ms = self._engine.advance()
        said: Said = {}
        match request.params.get("action"):
            case "scheduleCronFlow":
                said = self._schedule(request, user, now_ms)
            case "removeSched":
                said = self._remove(request, user)
        kind = "success" if said.get("status") == "success" else "failure"
        cookies = (message_cookie(kind, str(said["message"])),) if "message" in said else ()
        return replace(write_json(said), headers=cookies)

    async def multipart(self, request: Request, parts: Mapping[str, str | FilePart], user: str) -> Answer:
        """Nothing is done, nothing is said."""
        del request, parts, user
        return Answer()

    def _ask(self, request: Request, user: str) -> Said:
        now_ms = self._engine.advance()
        match request.params["ajax"]:
            case "scheduleCronFlow":
                return self._schedule(request, user, now_ms)
            case "fetchSchedule":
                project_id = needed_integer(request, "projectId")
                schedule = self._engine.schedules.find(project_id, needed(request, "flowId"))
                return {} if schedule is None else {"schedule": self._told(schedule)}
            case "fetchSchedules" | "loadFlow":
                items = [_item(schedule) for schedule in self._engine.schedules.all()]
                return {"items": items} if items else {}
            case "scheduleFlow":
                raise NotImplementedError(request.path)  # without cron: long deprecated
            case _:
                return {}

    def _schedule(self, request: Request, user: str, now_ms: int) -> Said:
        name, flow = needed(request, "projectName"), needed(request, "flow")
        project = self._projects.find(name)
        if project is None:
            return _error(f"Project {name} does not exist")
        if not self._users.may(user, project):
            return _error(f"Permission denied. Cannot execute {flow}")
        if flow not in project.flows:
            return _error(f"Flow {flow} cannot be found in project {name}")
        if flow in project.locked:
            return _error(f"Flow {flow} in project {name} is locked.")
        said: Said = {"status": "success", "scheduleId": -1, "message": f"{name}.{flow} scheduled."}
        try:
            options = parse_options(request.params)
            options = admit(options, admin=self._users.is_admin(user))
        except (OptionError, ValueError) as error:  # is told, but hinders nothing
            said["error"] = str(error)
            options = FlowOptions()
        cron = request.params.get("cronExpression")
        if cron is None:
            return {"error": "Cron expression must exist."} | said
        terms = Terms(
            project.id,
            name,
            flow,
            cron,
            user,
            options,
            end_ms=integer_or(request.params.get("endSchedTime"), END_MS, bits=64),
            back_execute_once=self._makes_up and request.params.get("backExecuteOnce", "").lower() == "true",
        )
        try:
            schedule = self._engine.schedules.schedule(terms, now_ms)
        except CronError:
            return {"error": f"This expression <{cron}> can not be parsed to quartz cron."}
        return said | {"scheduleId": schedule.id}

    def _remove(self, request: Request, user: str) -> Said:
        number = needed_integer(request, "scheduleId")
        schedule = self._engine.schedules.get(number)
        if schedule is None:
            return _error(f"Schedule with ID {number} does not exist")
        project = self._projects.get(schedule.terms.project_id)
        if project is None or not self._users.may(user, project):
            return _error(f"Permission denied. Cannot remove schedule with id {number}")
        self._engine.schedules.remove(number)
        return {"status": "success", "message": f"flow {schedule.terms.flow} removed from Schedules."}

    def _told(self, schedule: Schedule) -> Said:
        """What fetchSchedule says; the id is a string here."""
        terms = schedule.terms
        said: Said = {
            "scheduleId": str(schedule.id),
            "submitUser": terms.user,
            "firstSchedTime": date(schedule.first_ms),
            "nextExecTime": date(schedule.next_ms),
            "period": "null",
            "cronExpression": terms.cron,
            "executionOptions": options_json(terms.options),
        }
        return said | {"backExecuteOnce": terms.back_execute_once} if self._makes_up else said


def _item(schedule: Schedule) -> Said:
    """A line of fetchSchedules; the id is a number here."""
    terms = schedule.terms
    return {
        "scheduleId": schedule.id,
        "flowname": terms.flow,
        "projectname": terms.project,
        "time": schedule.first_ms,
        "cron": terms.cron,
        "period": 0,
        "history": False,
    }


def _error(message: str) -> Said:
    return {"status": "error", "message": message}
