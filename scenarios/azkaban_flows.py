r"""Create flows in Azkaban, schedule them, run them, watch them end.

An upload to Azkaban replaces the project's whole flow set, and two uploads to one project at the same
time lose one of them.  So every upload carries all that its project should hold by then, and the project
is the item's key: uploads to one project run one after the other, in order, while projects are filled side
by side.

    loadgen run scenarios/azkaban_flows.py                                  # flows, on the built-in sandbox
    loadgen run scenarios/azkaban_flows.py --set schedules=10000 --set executions=1000
    AZKABAN_PASSWORD=... loadgen run scenarios/azkaban_flows.py \
        --target http://azkaban.test:8081 --set flows=500 --set projects=10 --set user=tester

Steps are `projects`, `flows`, `schedules`, `executions` and `watch`; `--step` chooses some of them.
docs/azkaban.md walks through all of it.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import azkaban
import requests
from azkaban import RETRY, AzkabanError, ask

from loadgen import Made, Scenario, Session, Timed, Verification, option

TERMINAL = frozenset({"SUCCEEDED", "KILLED", "EXECUTION_STOPPED", "FAILED"})
DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class Options:
    """What can be set."""

    flows: int = option(10_000, help="How many flows there should be in the end")
    projects: int = option(100, help="How many projects share them")
    strategy: Literal["append", "bundle"] = option(
        "append", help="append: each flow its own upload; bundle: all of a project in one, or BATCH"
    )
    batch: int | None = option(None, help="Flows that one upload adds")
    schedules: int | None = option(None, help="How many flows get a schedule; all, with --step schedules")
    cron: str = option("spread", help="When they fire: a Quartz expression, or each at its time of day")
    executions: int | None = option(None, help="How many times a flow is run; 1000, with --step executions")
    concurrent_option: Literal["ignore", "skip", "queue"] = option("ignore", help="When it runs already")
    failure_action: Literal["finishCurrent", "cancelImmediately", "finishPossible"] = "finishCurrent"
    flow_override: tuple[str, ...] = option((), help="NAME=VALUE parameters of the executions")
    poll: float = option(0.2, help="Seconds between two looks at an execution")
    prefix: str = option("loadgen", help="Project names begin with it")
    user: str = option("azkaban", env="AZKABAN_USER")
    password: str = option("azkaban", env="AZKABAN_PASSWORD", secret=True)
    tag: str = field(
        default_factory=lambda: secrets.token_hex(4)
    )  # tells our executions from those of others

    def __post_init__(self) -> None:
        if self.projects < 1 or (self.batch is not None and self.batch < 1):
            raise ValueError("projects and batch must be at least 1")
        if min(self.flows, self.schedules or 0, self.executions or 0) < 0:
            raise ValueError("flows, schedules and executions must not be negative")
        if (self.schedules or 0) > self.flows:
            raise ValueError("a flow has one schedule: schedules must not be more than flows")
        if not self.poll > 0:
            raise ValueError("poll must be above 0")
        if any("=" not in pair for pair in self.flow_override):
            raise ValueError("flow_override takes NAME=VALUE")


# Each process has so many connections.  Jetty serves 20 at a time by default: stay below that in all.
scenario = Scenario(options=Options, target="sandbox:azkaban", concurrency=8)


# ---- what there should be


def project_name(project: int, options: Options) -> str:
    """Azkaban's rule: a letter, then letters, digits, `-` and `_`."""
    return f"{options.prefix}_{project:04d}"


def place(flow: int, options: Options) -> tuple[str, str]:
    """Project and name of a flow."""
    return project_name(flow % options.projects, options), f"flow_{flow:06d}"


def flows_of(project: int, options: Options) -> Sequence[str]:
    """The flows that a project should hold in the end."""
    return [place(flow, options)[1] for flow in range(project, options.flows, options.projects)]


def filled(options: Options) -> range:
    """The projects that get any flow."""
    return range(min(options.projects, options.flows))


def size(options: Options) -> int:
    """How many flows an upload adds."""
    whole = -(-options.flows // options.projects)
    return options.batch or (1 if options.strategy == "append" else max(whole, 1))


def uploads(options: Options) -> int:
    """How many uploads fill all projects."""
    return sum(-(-len(flows_of(project, options)) // size(options)) for project in filled(options))


def uploaded(item: int, options: Options) -> tuple[str, Sequence[str]]:
    """Project and flows of an upload: what it adds, and all that was added before."""
    project, turn = item % options.projects, item // options.projects
    return project_name(project, options), flows_of(project, options)[: (turn + 1) * size(options)]


def cron(item: int, options: Options) -> str:
    """When a schedule fires: Azkaban looks once a minute, so minutes are as fine as it gets."""
    if options.cron != "spread":
        return options.cron
    hour, minute = divmod(item * DAY_MINUTES // max(scheduled(options), 1), 60)
    return f"0 {minute} {hour} ? * *"


def scheduled(options: Options) -> int:
    """How many flows get a schedule."""
    return options.flows if options.schedules is None else options.schedules


def executed(options: Options) -> int:
    """How many times a flow is run."""
    wanted = 1000 if options.executions is None else options.executions
    return wanted if options.flows else 0


def token(item: int, options: Options) -> str:
    """By this the execution is found again whose answer was lost."""
    return f"{options.prefix}-{options.tag}-{item}"


def find_execution(http: Session, item: int, options: Options) -> int | None:
    """The id of an item's execution, by its token; None: there is none."""
    for number in azkaban.recent(http, *place(item % options.flows, options)):
        query = {"ajax": "flowInfo", "execid": number}
        said = ask(http, "GET", "/executor", params=query, name="flowInfo")
        if said.get("flowParam", {}).get("loadgen.token") == token(item, options):
            return number
    return None


# ---- the job


@scenario.login
def login(http: Session, options: Options) -> None:
    """Each thread has a session of its own, and logs in again when it has ended."""
    azkaban.log_in(http, options.user, options.password)


@scenario.setup
def look_around(http: Session, options: Options) -> dict[str, list[str]]:
    """What was there before is not ours to delete."""
    query = {"ajax": "fetchallprojects"}
    there = ask(http, "GET", "/index", params=query, name="fetchallprojects")["projects"]
    ours = {project_name(project, options).lower() for project in range(options.projects)}
    names = [project["projectName"] for project in there if project["projectName"].lower() in ours]
    known = {name.lower() for name in names}
    schedules = [f"{each[0]}/{each[1]}" for each in azkaban.schedules_there(http) if each[0].lower() in known]
    return {"projects": names, "schedules": schedules}


@scenario.step(
    items=lambda options: options.projects,
    delivery="at_least_once",
    retry=RETRY,
    when=lambda _: False,  # whoever uploads creates what is missing
)
def projects(http: Session, item: int, options: Options) -> dict[str, object]:
    """Create a project."""
    name = project_name(item, options)
    azkaban.create(http, name)
    return {"project": name}


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
    """Upload a project with some flows more than it had; the first time, create it."""
    name, wanted = uploaded(item, options)
    if item < options.projects:
        azkaban.create(http, name)
    return {"project": name, "version": azkaban.upload(http, name, wanted), "flows": len(wanted)}


@flows.exists
def flows_exist(http: Session, item: int, options: Options) -> bool:
    """All that the upload carries is there."""
    name, wanted = uploaded(item, options)
    return set(wanted) <= set(azkaban.listed(http, name) or ())


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
    fields |= {"cronExpression": cron(item, options), "concurrentOption": options.concurrent_option}
    said = ask(http, "POST", "/schedule", data=fields, name="scheduleCronFlow")
    if int(said.get("scheduleId", -1)) <= 0:
        raise AzkabanError(f"not scheduled: {said.get('message')}")
    return {
        "project": project,
        "flow": flow,
        "schedule": said["scheduleId"],
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
    fields = {"ajax": "executeFlow", "project": project, "flow": flow}
    fields |= {"concurrentOption": options.concurrent_option, "failureAction": options.failure_action}
    for pair in options.flow_override:
        name, _, value = pair.partition("=")
        fields[f"flowOverride[{name}]"] = value
    fields["flowOverride[loadgen.token]"] = token(item, options)
    try:
        said = ask(http, "POST", "/executor", data=fields, name="executeFlow")
    except requests.RequestException:  # the answer is lost: was the question?
        number = find_execution(http, item, options)
        if number is None:
            raise
    else:
        number = int(said.get("execid", -1))
        if number <= 0:
            raise AzkabanError(f"not executed: {said.get('message')}")
    until_visible(http, number, options)
    return {"project": project, "flow": flow, "execution": number}


@executions.exists
def execution_exists(http: Session, item: int, options: Options) -> bool:
    """One with the item's token is among the flow's latest."""
    return find_execution(http, item, options) is not None


def until_visible(http: Session, number: int, options: Options) -> None:
    """Azkaban may take a moment to find what it has just been given."""
    deadline = time.monotonic() + scenario.timeout
    while True:
        try:
            azkaban.fetch(http, number)
        except AzkabanError as error:
            if "Cannot find" not in str(error) or time.monotonic() > deadline:
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
        raise AzkabanError(f"there is no execution {token(item, options)}")
    while (said := azkaban.fetch(http, number))["status"] not in TERMINAL:
        time.sleep(options.poll)
    if said["status"] != "SUCCEEDED":
        raise AzkabanError(f"execution {number} of {said['flowId']} ended {said['status']}")
    took_s = (said["endTime"] - said["submitTime"]) / 1000
    return Timed(took_s, {"execution": number, "status": said["status"], "seconds": took_s})


# ---- afterwards


@scenario.verify
def all_is_there(http: Session, options: Options, made: Made) -> Verification:
    """Of each kind that this run was to make: exactly that, and no more of it in our projects."""
    expected: set[str] = set()
    found: Counter[str] = Counter()
    if "flows" in made.steps:
        for project in filled(options):
            name = project_name(project, options)
            expected |= {f"{name}/{flow}" for flow in flows_of(project, options)}
            found.update(f"{name}/{flow}" for flow in azkaban.listed(http, name) or ())
    elif "projects" in made.steps:
        expected |= {project_name(project, options) for project in range(options.projects)}
        there = range(options.projects)
        found.update(project_name(each, options) for each in there if project_exists(http, each, options))
    if "schedules" in made.steps:
        wanted = {place(item, options): cron(item, options) for item in range(scheduled(options))}
        expected |= {f"{project}/{flow} at {when}" for (project, flow), when in wanted.items()}
        ours = {project for project, _ in wanted}
        before = set((made.setup or {}).get("schedules", ()))
        found.update(
            f"{project}/{flow} at {when}"
            for project, flow, when, _ in azkaban.schedules_there(http)
            if project in ours and ((project, flow) in wanted or f"{project}/{flow}" not in before)
        )
    if "executions" in made.steps:
        runs = {(each["project"], each["flow"], each["execution"]) for each in made("executions")}
        expected |= {f"{project}/{flow} run {number}" for project, flow, number in runs}
        for project, flow in {each[:2] for each in runs}:
            latest = azkaban.recent(http, project, flow)
            found.update(f"{project}/{flow} run {n}" for n in latest if (project, flow, n) in runs)
    twice = [f"{name}, {times} times" for name, times in found.items() if times > 1]
    return Verification.of(expected, {*found, *twice})


@scenario.teardown
def take_back(http: Session, options: Options, made: Made) -> None:
    """Stop what runs, take schedules off, delete projects; but nothing that was there before."""
    before = made.setup or {"projects": [], "schedules": []}
    for run in made("executions"):
        azkaban.cancel(http, run["execution"])
    for entry in made("schedules"):
        if f"{entry['project']}/{entry['flow']}" not in before["schedules"]:
            azkaban.unschedule(http, entry["schedule"])
    there_before = {name.lower() for name in before["projects"]}
    for name in sorted(touched(options, made)):
        if name.lower() not in there_before:
            azkaban.delete(http, name)


def touched(options: Options, made: Made) -> set[str]:
    """The projects that the run has created or filled, or may have."""
    names = {entry["project"] for step in ("projects", "flows") for entry in made(step)}
    for step in ("projects", "flows"):
        for item in (*made.failed(step), *made.unknown(step)):
            names.add(project_name(item % options.projects, options))
    return names
