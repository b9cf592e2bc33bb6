"""/history: executions of all projects, for people.  As in HistoryServlet.java."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.execution_json import shown
from loadgen.sandbox.azkaban.java import date, integer_or
from loadgen.sandbox.azkaban.pages import ServletError, table, write_json
from loadgen.sandbox.messages import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loadgen.sandbox.azkaban.engine import Engine
    from loadgen.sandbox.azkaban.execution import Execution
    from loadgen.sandbox.messages import FilePart, Request

STATUSES = {
    20: "PREPARING",
    30: "RUNNING",
    40: "PAUSED",
    50: "SUCCEEDED",
    55: "KILLING",
    60: "KILLED",
    70: "FAILED",
    80: "FAILED_FINISHING",
}
"""The numbers by which a form asks for a status; 0 is any."""
SIZE = 16
"""Executions on a page that does not say how many; it may say any number."""
DATE = "%m/%d/%Y %I:%M %p"
COLUMNS = ("Execution Id", "Flow", "Project", "User", "Start Time", "End Time", "Status")


class History:
    """The servlet at /history."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def get(self, request: Request, user: str) -> Answer:
        """A page; by `ajax`, whatever is asked, an empty object."""
        del user
        if "ajax" in request.params:
            return write_json({})
        now_ms = self._engine.advance()
        page, size = (
            max(integer_or(request.params.get(name), default), 1)
            for name, default in (("page", 1), ("size", SIZE))
        )
        found = self._engine.executions.newest_first()
        if "advfilter" in request.params:
            found = _filtered(found, request, now_ms)
        found = islice(found, (page - 1) * size, page * size)
        return table("History", COLUMNS, (_row(each, now_ms) for each in found))

    async def post(self, request: Request, user: str) -> Answer:
        """Nothing is done, nothing is said."""
        del request, user
        return Answer()

    async def multipart(self, request: Request, parts: Mapping[str, str | FilePart], user: str) -> Answer:
        """The same."""
        del request, parts, user
        return Answer()


def _filtered(found: Iterator[Execution], request: Request, now_ms: int) -> Iterator[Execution]:
    """Those whose names contain what was asked for, in any case."""
    names = ("projcontain", "flowcontain", "usercontain")
    project, flow, user = (request.params.get(name, "").lower() for name in names)
    status = STATUSES.get(integer_or(request.params.get("status"), 0))
    begin_ms, end_ms = _time_ms(request, "begin"), _time_ms(request, "end")
    for each in found:
        if (
            project in each.order.project.lower()
            and flow in each.order.flow.id.lower()
            and user in each.order.user.lower()
            and (status is None or each.status(now_ms) == status)
            and (begin_ms is None or begin_ms < shown(each.start_ms, now_ms))
            and (end_ms is None or shown(each.end_ms, now_ms) < end_ms)
        ):
            yield each


def _row(execution: Execution, now_ms: int) -> tuple[str, ...]:
    order = execution.order
    times = (
        date(time_ms) if time_ms <= now_ms else "-" for time_ms in (execution.start_ms, execution.end_ms)
    )
    return (str(execution.id), order.flow.id, order.project, order.user, *times, execution.status(now_ms))


def _time_ms(request: Request, name: str) -> int | None:
    """Raises ServletError for what is no date."""
    text = request.params.get(name)
    if not text:
        return None
    try:
        return round(datetime.strptime(text, DATE).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        raise ServletError(f'Invalid format: "{text}"') from None
