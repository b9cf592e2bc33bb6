r"""Create flows in Azkaban, schedule them, run them, watch them end.

An upload to Azkaban replaces the project's whole flow set, and two uploads to one project at the same
time lose one of them.  So every upload carries all that its project should hold by then, and whatever of
it is there already; and the project is the item's key: uploads to one project run one after the other,
while projects are filled side by side.

    loadgen run scenarios/azkaban_flows.py                                  # flows, on the built-in sandbox
    loadgen run scenarios/azkaban_flows.py --set schedules=10000 --set executions=1000
    AZKABAN_PASSWORD=... loadgen run scenarios/azkaban_flows.py \
        --target http://azkaban.test:8081 --set flows=500 --set projects=10 --set user=tester

Steps are `projects`, `flows`, `schedules`, `executions` and `watch`; `--step` chooses some of them.
docs/azkaban.md walks through all of it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import azkaban
import requests
from azkaban import LOOKS, RETRY, AzkabanError, ask
from azkaban_plan import (
    FLOW_NAME,
    Options,
    added,
    begun_ms,
    cron,
    executed,
    filled,
    flows_of,
    how_to_run,
    item_of,
    place,
    project_name,
    schedule_of,
    scheduled,
    token,
    uploaded,
    uploads,
)

from loadgen import Made, Scenario, Session, Timed, Verification

# Each process has so many connections.  Jetty serves 20 at a time by default: stay below that in all.
scenario = Scenario(options=Options, target="sandbox:azkaban", concurrency=8)


# ---- the job


@scenario.login
def login(http: Session, options: Options) -> None:
    """Each thread has a session of its own, and logs in again when it has ended."""
    azkaban.log_in(http, options.user, options.password)


@scenario.setup
def look_around(http: Session, options: Options) -> dict[str, list[str]]:
    """What was there before is not ours to delete.  Azkaban takes `A` and `a` for one project."""
    query = {"ajax": "fetchallprojects"}
    there = ask(http, "GET", "/index", params=query, name="fetchallprojects")["projects"]
    ours = {project_name(project, options).lower() for project in range(options.projects)}
    known = ours & {project["projectName"].lower() for project in there}
    schedules = [each.flow for each in azkaban.schedules_there(http) if each.project in known]
    return {"projects": sorted(known), "schedules": schedules}


@scenario.step(
    items=lambda options: options.projects,
    delivery="at_least_once",
    retry=RETRY,
    when=lambda _: False,  # whoever uploads creates what is missing
)
def projects(http: Session, item: int, options: Options) -> dict[str, object]:
    """Create a project."""
    name = project_name(item, options)
    created = azkaban.create(http, name, options.tag)
    return {"project": name, "id": azkaban.project_id(http, name), "created": created}


@projects.exists
def project_exists(http: Session, item: int, options: Options) -> bool:
    """It has an id."""
    return azkaban.project_id(http, project_name(item, options)) is not None


@scenario.step(
    items=uploads,
    key=lambda item, options: item % options.projects,
    delivery="at_least_once",
    retry=RETRY,
)
def flows(http: Session, item: int, options: Options) -> dict[str, object]:
    """Upload a project with some flows more than it had; create it where there is none.

    What is there of our flows goes along: an upload that is tried again may come after later ones.
    """
    name, wanted = uploaded(item, options)
    there = azkaban.listed(http, name)
    if there is None:
        created = azkaban.create(http, name, options.tag)
    else:
        created = http.attempt > 1 and azkaban.is_ours(http, name, options.tag)  # by an earlier try
    more = set(there or ()) - set(wanted)
    foreign = more.difference(flows_of(item % options.projects, options))
    if foreign:
        raise AzkabanError(f"{name} holds {min(foreign)}, not of this run: an upload would delete it")
    number, version = azkaban.upload(http, name, [*wanted, *sorted(more)])
    size = len(wanted) + len(more)
    return {"project": name, "id": number, "created": created, "version": version, "flows": size}


@flows.exists
def flows_exist(http: Session, item: int, options: Options) -> bool:
    """What the upload adds is there."""
    return set(added(item, options)) <= set(azkaban.listed(http, uploaded(item, options)[0]) or ())


@scenario.step(
    items=scheduled,
    delivery="at_least_once",  # a flow has one schedule: saying it again changes nothing
    retry=RETRY,
    when=lambda options: options.schedules is not None,
)
def schedules(http: Session, item: int, options: Options) -> dict[str, object]:
    """Schedule a flow."""
    project, flow = place(item, options)
    fields = {"ajax": "scheduleCronFlow", "projectName": project, "flow": flow}
    fields |= {"cronExpression": cron(item, options), **how_to_run(options)}
    said = ask(http, "POST", "/schedule", data=fields, name="scheduleCronFlow")
    if int(said.get("scheduleId", -1)) <= 0:
        raise AzkabanError(f"not scheduled: {said.get('message')}")
    return {
        "project": project,
        "flow": flow,
        "schedule": int(said["scheduleId"]),
        "cron": fields["cronExpression"],
    }


@schedules.exists
def schedule_exists(http: Session, item: int, options: Options) -> bool:
    """The flow has a schedule with this cron."""
    project, flow = place(item, options)
    number = azkaban.project_id(http, project)
    if number is None:
        return False
    query = {"ajax": "fetchSchedule", "projectId": number, "flowId": flow}
    said = ask(http, "GET", "/schedule", params=query, name="fetchSchedule")
    return bool(said.get("schedule", {}).get("cronExpression") == cron(item, options))


@scenario.step(
    items=executed,
    delivery="verify",  # asking again would run it again
    when=lambda options: options.executions is not None,
)
def executions(http: Session, item: int, options: Options) -> dict[str, object]:
    """Run a flow, and wait until Azkaban shows that it does: the item's time is the time to visible."""
    project, flow = place(item % options.flows, options)
    number = find_execution(http, item, options) if http.attempt > 1 else None
    if number is None:
        number = execute(http, item, options)
    until_visible(http, number, options)
    return {"item": item, "project": project, "flow": flow, "execution": number}


@executions.exists
def execution_exists(http: Session, item: int, options: Options) -> bool:
    """There is one with the item's token."""
    return find_execution(http, item, options) is not None


def execute(http: Session, item: int, options: Options) -> int:
    """Ask for an execution; returns its id."""
    project, flow = place(item % options.flows, options)
    fields = {"ajax": "executeFlow", "project": project, "flow": flow, **how_to_run(options)}
    fields["flowOverride[loadgen.token]"] = token(item, options)
    try:
        said = ask(http, "POST", "/executor", data=fields, name="executeFlow")
    except requests.RequestException:  # the answer is lost: was the question?
        number = await_execution(http, item, options)
        if number is None:
            raise
        return number
    if int(said.get("execid", -1)) <= 0:
        raise AzkabanError(f"not executed: {said.get('message')}")
    return int(said["execid"])


def latest(http: Session, item: int, options: Options) -> Iterator[Sequence[int]]:
    """The executions of an item's flow since the run began, newest first; a page has room for all of ours."""
    room = -(-executed(options) // options.flows) + azkaban.RECENT
    return azkaban.executions_of(http, *place(item % options.flows, options), room, begun_ms(options))


def find_execution(http: Session, item: int, options: Options) -> int | None:
    """The id of an item's execution, by its token; None: there is none."""
    newer = (executed(options) - 1 - item) // options.flows  # of ours, in the end: look there first
    for numbers in latest(http, item, options):
        for at in sorted(range(len(numbers)), key=lambda at: abs(at - newer)):
            if azkaban.parameters(http, numbers[at]).get("loadgen.token") == token(item, options):
                return numbers[at]
        newer -= len(numbers)
    return None


def await_execution(http: Session, item: int, options: Options) -> int | None:
    """Look for an item's execution some times: it may still be on its way; None: it did not come."""
    for _ in range(LOOKS):
        with suppress(requests.HTTPError):
            number = find_execution(http, item, options)
            if number is not None:
                return number
        time.sleep(options.poll)
    return None


def until_visible(http: Session, number: int, options: Options) -> None:
    """Azkaban may take a moment to find what it has just been given; a look that is lost is taken again."""
    deadline = time.monotonic() + scenario.timeout
    while True:
        try:
            azkaban.fetch(http, number)
        except (AzkabanError, requests.RequestException) as error:
            hidden = "Cannot find" in str(error) or isinstance(error, requests.RequestException)
            if not hidden or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(options.poll)


@scenario.step(
    items=executed,
    delivery="at_least_once",  # it only looks
    retry=RETRY,
    when=lambda options: options.executions is not None,
)
def watch(http: Session, item: int, options: Options) -> Timed:
    """Look at an execution until it has ended: the item's time is the time to finish, by Azkaban's clock."""
    number = find_execution(http, item, options)
    if number is None:
        hint = "of another run? --set tag= takes the tag of the run that executed"
        raise AzkabanError(f"there is no execution {token(item, options)}; {hint}")
    deadline = time.monotonic() + options.patience
    while not azkaban.has_ended(said := azkaban.fetch(http, number)):
        if time.monotonic() > deadline:
            raise AzkabanError(f"execution {number} is {said['status']} after {options.patience:g} s")
        time.sleep(options.poll)
    if said["status"] != "SUCCEEDED":
        raise AzkabanError(f"execution {number} of {said['flowId']} ended {said['status']}")
    took_s = (said["endTime"] - said["submitTime"]) / 1000
    return Timed(took_s, {"execution": number, "status": said["status"], "seconds": took_s})


@watch.exists
def is_watched(http: Session, item: int, options: Options) -> bool:
    """Nothing on the target tells: with --top-up, too, all that runs is watched."""
    del http, item, options
    return False


# ---- afterwards


Compared = tuple[set[str], Iterable[str]]
"""Names of what there should be, and of what there is."""


@scenario.verify
def all_is_there(http: Session, options: Options, made: Made) -> Verification:
    """Of each kind that this run was to make: exactly that, and no more of it in our projects."""
    kinds = {
        "projects": compare_projects,
        "flows": compare_flows,
        "schedules": compare_schedules,
        "executions": compare_executions,
    }
    expected: set[str] = set()
    found: Counter[str] = Counter()
    for step in made.steps:
        if step in kinds:
            wanted, there = kinds[step](http, options, made)
            expected |= wanted
            found.update(there)
    twice = [f"{name}, {times} times" for name, times in found.items() if times > 1]
    return Verification.of(expected, {*found, *twice})


def compare_projects(http: Session, options: Options, _: Made) -> Compared:
    """By name."""
    names = {project_name(project, options) for project in range(options.projects)}
    return names, [name for name in names if azkaban.project_id(http, name) is not None]


def compare_flows(http: Session, options: Options, _: Made) -> Compared:
    """Each project's, and no other flow in it."""
    expected: set[str] = set()
    found: list[str] = []
    for project in filled(options):
        name = project_name(project, options)
        expected |= {f"{name}/{flow}" for flow in flows_of(project, options)}
        found += [f"{name}/{flow}" for flow in azkaban.listed(http, name) or ()]
    return expected, found


def compare_schedules(http: Session, options: Options, made: Made) -> Compared:
    """With their crons; no other schedule in our projects that was not there before."""
    wanted = {schedule_of(item, options): cron(item, options) for item in range(scheduled(options))}
    ours = {flow.partition("/")[0] for flow in wanted}
    before = set((made.setup or {}).get("schedules", ())) - set(wanted)
    there = azkaban.schedules_there(http)
    found = [f"{it.flow} at {it.cron}" for it in there if it.project in ours and it.flow not in before]
    return {f"{flow} at {when}" for flow, when in wanted.items()}, found


def compare_executions(http: Session, options: Options, made: Made) -> Compared:
    """By the ids that we were told; others by their tokens: an answer was lost, or a flow was run twice."""
    told = {each["execution"]: each["item"] for each in made("executions")}
    runs = {item: "/".join(place(item % options.flows, options)) for item in range(executed(options))}
    found: list[int | None] = []
    for flow in range(min(options.flows, executed(options))):
        for number in chain.from_iterable(latest(http, flow, options)):
            if number in told:
                found.append(told[number])
            else:
                found.append(item_of(azkaban.parameters(http, number).get("loadgen.token"), options))
    names = {item: f"{flow} run {item}" for item, flow in runs.items()}
    return set(names.values()), [names[item] for item in found if item in names]


@scenario.teardown
def take_back(http: Session, options: Options, made: Made) -> None:
    """Take schedules off, stop what runs, delete and purge projects; but nothing of before, or of others.

    A project's schedules go with it, so only those in projects that stay are taken off one by one.
    Raises AzkabanError at the end when projects that the run has made or filled are left.
    """
    stay = set((made.setup or {}).get("projects", ()))
    for number in to_unschedule(http, options, made) if stay else ():
        azkaban.unschedule(http, number)
    for number in started(http, options, made):
        azkaban.cancel(http, number, options.poll)
    ours = {project_name(project, options): flows_of(project, options) for project in filled(options)}
    left = [
        azkaban.delete_ours(http, name, told, ours.get(name, ()), FLOW_NAME, options.tag)
        for name, told in sorted(touched(options, made).items())
        if name.lower() not in stay
    ]
    if any(left):
        raise AzkabanError(f"left: {'; '.join(filter(None, left))}")


def to_unschedule(http: Session, options: Options, made: Made) -> Iterator[int]:
    """The schedules of the run in projects that were there before."""
    ours = {entry["schedule"] for entry in made("schedules")}
    maybe = {schedule_of(item, options): cron(item, options) for item in in_doubt(made, "schedules")}
    stay, before = set(made.setup["projects"]), set(made.setup["schedules"])
    for each in azkaban.schedules_there(http):
        is_ours = each.number in ours or maybe.get(each.flow) == each.cron
        if is_ours and each.project in stay and each.flow not in before:
            yield each.number


def in_doubt(made: Made, step: str) -> Iterator[int]:
    """Items that may have had their effect, although the run does not know which."""
    return chain(made.failed(step), made.unknown(step))


def started(http: Session, options: Options, made: Made) -> Iterator[int]:
    """The executions of the run that were not seen to end."""
    ended = {seen["execution"] for seen in made("watch")}
    told = (each["execution"] for each in made("executions"))
    found = (find_execution(http, item, options) for item in in_doubt(made, "executions"))
    return (number for number in chain(told, found) if number is not None and number not in ended)


def touched(options: Options, made: Made) -> dict[str, list[Mapping[str, Any]]]:
    """The projects that the run has created or filled, or may have; with what its items returned of them."""
    told: dict[str, list[Mapping[str, Any]]] = {}
    for step in ("projects", "flows"):
        for entry in made(step):
            told.setdefault(entry["project"], []).append(entry)
        for item in in_doubt(made, step):
            told.setdefault(project_name(item % options.projects, options), []).append(azkaban.IN_DOUBT)
    return told
