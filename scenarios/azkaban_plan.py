"""What there should be in Azkaban in the end: the options of azkaban_flows.py, and what follows from them.

Which flow is in which project, which upload brings it, when it fires: pure arithmetic, without a call.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from loadgen import option

DAY_MINUTES = 24 * 60
WRONG_CLOCK_S = 24 * 3600
"""So much the clocks of Azkaban and of who makes the tag may differ at most."""
FLOW_NAME = r"flow_\d{6,}"
"""A pattern of the names that `place` gives, whatever the options."""


@dataclass(frozen=True)
class Options:
    """What can be set."""

    flows: int = option(10_000, help="How many flows there should be in the end")
    projects: int = option(100, help="How many projects share them")
    strategy: Literal["append", "bundle"] = option(
        "append", help="append: an upload for each flow; bundle: one for all flows of a project"
    )
    batch: int | None = option(None, help="Flows that one upload adds, whatever the strategy")
    schedules: int | None = option(None, help="How many flows get a schedule; all, with --step schedules")
    cron: str = option("spread", help="When they fire: a Quartz expression, or each at its time of day")
    executions: int | None = option(None, help="How many times a flow is run; 1000, with --step executions")
    concurrent_option: Literal["ignore", "skip", "queue", "pipeline"] = option(
        "ignore", help="What becomes of an execution whose flow is running already"
    )
    pipeline_level: int = option(
        1, help="pipeline: each job waits for itself in the run before; 2: also for those that come after it"
    )
    failure_action: Literal["finishCurrent", "cancelImmediately", "finishPossible"] = option(
        "finishCurrent", help="What becomes of an execution one of whose jobs has failed"
    )
    flow_override: tuple[str, ...] = option((), help="NAME=VALUE parameters of executions and schedules")
    poll: float = option(0.2, help="Seconds between two looks at an execution")
    patience: float = option(3600.0, help="Seconds in which a watched execution must have ended")
    prefix: str = option("loadgen", help="Project names begin with it")
    user: str = option("azkaban", env="AZKABAN_USER")
    password: str = option("azkaban", env="AZKABAN_PASSWORD", secret=True)
    # Tells the executions of this run from all others: part of their tokens.  It begins with the time.
    tag: str = field(default_factory=lambda: f"{int(time.time()):08x}_{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        if self.projects < 1 or (self.batch is not None and self.batch < 1):
            raise ValueError("projects and batch must be at least 1")
        if min(self.flows, self.schedules or 0, self.executions or 0) < 0:
            raise ValueError("flows, schedules and executions must not be negative")
        if (self.schedules or 0) > self.flows:
            raise ValueError("a flow has one schedule: schedules must not be more than flows")
        if self.pipeline_level not in (1, 2):
            raise ValueError("pipeline_level must be 1 or 2")
        if not (self.poll > 0 and self.patience > 0):
            raise ValueError("poll and patience must be above 0")
        if not all(pair.partition("=")[0] and "=" in pair for pair in self.flow_override):
            raise ValueError("flow_override takes NAME=VALUE")
        if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_-]{0,49}", self.prefix):
            raise ValueError("prefix must be a letter and up to 49 letters, digits, - and _")
        if self.cron != "spread" and len(self.cron.split()) not in (6, 7):
            raise ValueError("cron must be Quartz's, 6 or 7 fields (seconds first), as 0 30 2 ? * *")


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
    """Project and flows of an upload: all that was added before, and at the end what it adds."""
    project, turn = item % options.projects, item // options.projects
    return project_name(project, options), flows_of(project, options)[: (turn + 1) * size(options)]


def added(item: int, options: Options) -> Sequence[str]:
    """The flows that an upload adds."""
    return uploaded(item, options)[1][item // options.projects * size(options) :]


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


def how_to_run(options: Options) -> dict[str, str]:
    """What executions and schedules alike are told."""
    fields: dict[str, str] = {
        "concurrentOption": options.concurrent_option,
        "failureAction": options.failure_action,
    }
    if options.concurrent_option == "pipeline":
        fields["pipelineLevel"] = str(options.pipeline_level)
    for pair in options.flow_override:
        name, _, value = pair.partition("=")
        fields[f"flowOverride[{name}]"] = value
    return fields


def token(item: int, options: Options) -> str:
    """By this the execution is found again whose answer was lost."""
    return f"{options.prefix}-{options.tag}-{item}"


def item_of(token: object, options: Options) -> int | None:
    """Which execution of this run has that token; None: of none."""
    tag, _, item = str(token).rpartition("-")
    return int(item) if tag == f"{options.prefix}-{options.tag}" and item.isdecimal() else None


def begun_ms(options: Options) -> int:
    """What was executed before that is not of this run, by Azkaban's clock; 0, where the tag was given."""
    made = re.fullmatch(r"([0-9a-f]{8})_[0-9a-f]{8}", options.tag)
    return 0 if made is None else 1000 * (int(made[1], 16) - WRONG_CLOCK_S)


def schedule_of(item: int, options: Options) -> str:
    """A flow that gets a schedule, as azkaban.schedules_there names it."""
    project, flow = place(item, options)
    return f"{project.lower()}/{flow}"
