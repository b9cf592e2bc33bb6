"""Executions as clients see them at a given time, in Azkaban's JSON.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.timeline import NEVER, FailureAction, Status, first_failure

if TYPE_CHECKING:
    from loadgen.sandbox.azkaban.execution import Execution
    from loadgen.sandbox.azkaban.flow_options import FlowOptions
    from loadgen.sandbox.azkaban.timeline import Node

ACTIONS = {
    FailureAction.FINISH_CURRENT: "finishCurrent",
    FailureAction.CANCEL_ALL: "cancelImmediately",
    FailureAction.FINISH_POSSIBLE: "finishPossible",
}


def summary(execution: Execution, now_ms: int) -> dict[str, object]:
    """A line of fetchFlowExecutions."""
    order = execution.order
    return {
        "execId": execution.id,
        "flowId": order.flow.id,
        "projectId": order.project_id,
        "status": execution.status(now_ms),
        "submitTime": execution.submit_ms,
        "startTime": shown(execution.start_ms, now_ms),
        "endTime": shown(execution.end_ms, now_ms),
        "submitUser": order.user,
    }


def whole_flow(execution: Execution, now_ms: int) -> dict[str, object]:
    """What fetchexecflow says."""
    order = execution.order
    return {
        "project": order.project,
        "projectId": order.project_id,
        "execid": execution.id,
        "submitTime": execution.submit_ms,
        "submitUser": order.user,
        "id": order.flow.id,
        "flow": order.flow.id,
        "flowId": order.flow.id,
        "type": None,
        "nestedId": "",
        "attempt": 0,
        "status": execution.status(now_ms),
        "startTime": shown(execution.start_ms, now_ms),
        "endTime": shown(execution.end_ms, now_ms),
        "updateTime": _updated_ms(execution, now_ms),
        "nodes": [_node(execution, node, "", now_ms) for node in execution.nodes],
    }


def flow_update(execution: Execution, since_ms: int, now_ms: int) -> dict[str, object]:
    """What fetchexecflowupdate says: the jobs to which something happened since then."""
    nodes = []
    for node in execution.nodes:
        told = _node(execution, node, "", now_ms)
        if _node_updated_ms(execution, node, now_ms) > since_ms:
            keys = ("id", "status", "startTime", "endTime", "updateTime", "attempt")
            nodes.append({key: told[key] for key in keys})
    said: dict[str, object] = {
        "status": execution.status(now_ms),
        "startTime": shown(execution.start_ms, now_ms),
        "endTime": shown(execution.end_ms, now_ms),
        "updateTime": _updated_ms(execution, now_ms),
    }
    if nodes:
        said |= {"flow": execution.order.flow.id, "nodes": nodes}
    if nodes or _updated_ms(execution, now_ms) > since_ms:
        said |= {"id": execution.order.flow.id, "attempt": 0}
    return said


def flow_info(execution: Execution, now_ms: int) -> dict[str, object]:
    """What flowInfo says: the options, and how the jobs stand."""
    options = execution.order.options
    whole = {"ROOT": options.flow_params} if options.flow_params else {}
    return {
        "successEmails": options.success_emails,
        "failureEmails": options.failure_emails,
        "runtimeProperties": whole | dict(options.runtime_properties),
        "flowParam": options.flow_params,
        "failureAction": ACTIONS[options.failure_action],
        "notifyFailureFirst": options.notify_first,
        "notifyFailureLast": options.notify_last,
        "failureEmailsOverride": options.failure_emails_override,
        "successEmailsOverride": options.success_emails_override,
        "concurrentOptions": options.concurrent,
        "pipelineLevel": options.pipeline_level,
        "pipelineExecution": options.pipeline_execution,
        "queueLevel": 0,
        "nodeStatus": {node.job.name: _status(execution, node, "", now_ms) for node in execution.nodes},
        "disabled": options.disabled,
    }


def options_json(options: FlowOptions) -> dict[str, object]:
    """Java's ExecutionOptions, as fetchSchedule writes them."""
    return {
        "concurrentOption": options.concurrent,
        "pipelineLevel": options.pipeline_level,
        "pipelineExecutionId": options.pipeline_execution,
        "queueLevel": 0,
        "failureAction": options.failure_action,
        "failureActionOverride": options.failure_action_override,
        "disabledJobs": options.disabled,
        "flowParameters": options.flow_params,
        "runtimeProperties": options.runtime_properties,
        "successEmails": options.success_emails,
        "failureEmails": options.failure_emails,
        "successEmailsOverridden": options.success_emails_override,
        "failureEmailsOverridden": options.failure_emails_override,
        "notifyOnFirstFailure": options.notify_first,
        "notifyOnLastFailure": options.notify_last,
        "mailCreator": options.mail_creator,
        "memoryCheck": True,
    }


def shown(time_ms: int, now_ms: int) -> int:
    """A time that has come; -1 for one that has not."""
    return time_ms if time_ms <= now_ms else -1


def _node(execution: Execution, node: Node, outer: str, now_ms: int) -> dict[str, object]:
    told: dict[str, object] = {
        "id": node.job.name,
        "nestedId": outer + node.job.name,
        "type": node.job.type,
        "status": _status(execution, node, outer, now_ms),
        "startTime": shown(_absolute(execution, node.start), now_ms),
        "endTime": shown(_absolute(execution, node.end), now_ms),
        "updateTime": _node_updated_ms(execution, node, now_ms),
        "attempt": 0,
    }
    if node.job.condition is not None:
        told["condition"] = node.job.condition
    if node.job.dependencies:
        told["in"] = node.job.dependencies
    if node.nodes:
        inner = [_node(execution, each, f"{outer}{node.job.name}:", now_ms) for each in node.nodes]
        told |= {"flow": node.job.embeds, "flowId": node.job.embeds, "nodes": inner}
    return told


def _status(execution: Execution, node: Node, outer: str, now_ms: int) -> Status:
    if _absolute(execution, node.end) <= now_ms:
        return node.outcome
    if _absolute(execution, node.start) <= now_ms:
        failed = _absolute(execution, first_failure(node.nodes)) <= now_ms
        return Status.FAILED_FINISHING if failed else Status.RUNNING
    disabled = outer + node.job.name in execution.order.options.disabled_ids
    return Status.DISABLED if disabled else Status.READY


def _absolute(execution: Execution, time: int) -> int:
    return min(execution.start_ms + time, NEVER)


def _node_updated_ms(execution: Execution, node: Node, now_ms: int) -> int:
    """When something happened to a job last; -1 when nothing has."""
    return max(shown(_absolute(execution, time), now_ms) for time in (node.start, node.end))


def _updated_ms(execution: Execution, now_ms: int) -> int:
    times = (
        execution.submit_ms,
        execution.start_ms,
        execution.end_ms,
        execution.paused_ms,
        execution.killed_ms,
    )
    nodes = (_node_updated_ms(execution, node, now_ms) for node in execution.nodes)
    return max(*(shown(each, now_ms) for each in times), *nodes)
