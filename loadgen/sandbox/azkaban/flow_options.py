"""The options of an execution, the same for executeFlow and for a schedule.  As in HttpRequestUtils.java."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from loadgen.sandbox.azkaban.java import integer, integer_or
from loadgen.sandbox.azkaban.timeline import FailureAction

ACTIONS = {
    "finishCurrent": FailureAction.FINISH_CURRENT,
    "cancelImmediately": FailureAction.CANCEL_ALL,
    "finishPossible": FailureAction.FINISH_POSSIBLE,
}
"""An unknown word leaves the default."""
ROOT = "ROOT"
"""Stands for the whole flow among the jobs that have runtime properties."""
ADMIN_ONLY = ("flowPriority", "useExecutor")
"""Flow parameters that others lose without a word."""
_SEPARATOR = re.compile(r"\s*,\s*|\s*;\s*|\s+")


class OptionError(Exception):
    """The options make no sense; Azkaban's own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOptions:
    """How a flow is to be executed; what is not said is as in a new ExecutionOptions of Java's."""

    concurrent: str = "ignore"
    """`skip`, `pipeline`, or anything else for a further run beside those that there are."""
    pipeline_level: int | None = None
    pipeline_execution: int | None = None
    """The execution that this one follows; known from its submission on."""
    failure_action: FailureAction = FailureAction.FINISH_CURRENT
    failure_action_override: bool = False
    disabled: tuple[Any, ...] = ()
    """JSON: names of jobs, or `{"id": name, "children": [...]}` for some inside an embedded flow."""
    flow_params: Mapping[str, str] = field(default_factory=dict)
    runtime_properties: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By job, without those of the whole flow."""
    success_emails: tuple[str, ...] = ()
    failure_emails: tuple[str, ...] = ()
    success_emails_override: bool = False
    failure_emails_override: bool = False
    notify_first: bool = False
    notify_last: bool = False
    mail_creator: str = "default"

    @property
    def disabled_ids(self) -> frozenset[str]:
        """The disabled jobs; one inside an embedded flow as `outer:inner`."""
        return frozenset(_ids(self.disabled))


def _ids(disabled: object, outer: str = "") -> Iterator[str]:
    for each in disabled if isinstance(disabled, (list, tuple)) else ():
        if isinstance(each, str):
            yield outer + each
        elif isinstance(each, dict) and "id" in each:
            yield from _ids(each.get("children"), f"{outer}{each['id']}:")


def parse_options(params: Mapping[str, str]) -> FlowOptions:
    """The options among a request's parameters.

    Raises OptionError, and ValueError (with Java's words) for a number that is none.
    """
    concurrent = params.get("concurrentOption", "skip")
    level = None
    if concurrent == "pipeline":
        if "pipelineLevel" not in params:
            raise OptionError("Missing required parameter 'pipelineLevel'.")
        level = integer(params["pipelineLevel"])
    elif concurrent == "queue":  # "Not yet implemented", says Azkaban: it only notes the level
        level = integer_or(params.get("queueLevel"), 1)
    whole_flow, by_job = _properties(params)
    return FlowOptions(
        concurrent=concurrent,
        pipeline_level=level,
        failure_action=ACTIONS.get(params.get("failureAction", ""), FailureAction.FINISH_CURRENT),
        failure_action_override=_true(params, "failureActionOverride"),
        disabled=_disabled(params.get("disabled", "")),
        flow_params=whole_flow,
        runtime_properties=by_job,
        success_emails=_emails(params, "successEmails"),
        failure_emails=_emails(params, "failureEmails"),
        success_emails_override=_true(params, "successEmailsOverride"),
        failure_emails_override=_true(params, "failureEmailsOverride"),
        notify_first=_true(params, "notifyFailureFirst"),
        notify_last=_true(params, "notifyFailureLast"),
        mail_creator=params.get("mailCreator", "default"),
    )


def admit(options: FlowOptions, *, admin: bool) -> FlowOptions:
    """The options as far as the user may set them.  Raises OptionError for an administrator's mistake."""
    if not admin:
        kept = {name: value for name, value in options.flow_params.items() if name not in ADMIN_ONLY}
        return replace(options, flow_params=kept)
    for name in ADMIN_ONLY:
        if not options.flow_params.get(name, "0").isdecimal():
            raise OptionError(f"{name} should be an integer")
    return options


def _true(params: Mapping[str, str], name: str) -> bool:
    return params.get(name, "").lower() == "true"


def _emails(params: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(_SEPARATOR.split(params[name])) if params.get(name) else ()


def _disabled(text: str) -> tuple[Any, ...]:
    """What cannot be read disables nothing."""
    try:
        found = json.loads(text) if text else []
    except ValueError:
        return ()
    return tuple(found) if isinstance(found, list) else ()


def _properties(params: Mapping[str, str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """What the flow gets, and what its jobs get."""
    whole_flow = {
        name[len("flowOverride[") : -1]: value
        for name, value in params.items()
        if name.startswith("flowOverride[")
    }
    by_job: dict[str, dict[str, str]] = {}
    for name, value in params.items():
        if name.startswith("runtimeProperty["):
            job, bracket, key = name.removeprefix("runtimeProperty[").partition("]")
            if not bracket or len(key) <= 1:
                raise OptionError("Param group runtimeProperty is invalid.")
            by_job.setdefault(job, {})[key[1:-1]] = value
    if whole_flow and by_job:
        raise OptionError(
            "The legacy param group flowOverride is not allowed in combination with the runtimeProperty "
            "param group. Migrate flowOverride to runtimeProperty[ROOT]."
        )
    return whole_flow | by_job.pop(ROOT, {}), by_job
