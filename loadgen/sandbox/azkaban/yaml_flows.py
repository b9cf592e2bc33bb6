"""The files of a project, read as flows: Flow 2.0, one `.flow` file in YAML a flow.  Pure.

A `.project` file says that it is one.  A node of type `flow` holds nodes of its own, and is a flow named
after the way to it: `outer:inner`.  As in DirectoryYamlFlowLoader.java and NodeBeanLoader.java; triggers
and the syntax of conditions are not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from loadgen.sandbox.azkaban.flows import (
    COMMAND,
    EMBEDDED,
    PROJECT,
    ROOT,
    Flow,
    Job,
    Loaded,
    commands_of,
    memory_errors,
    visible,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FLOW = ".flow"
VERSION = "azkaban-flow-version"
MAX_FLOW_FILE = 10 * 1024 * 1024
"""Bytes that the database takes."""
Scalar = str | int | float | bool


class Node(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A flow file, or a node in one, as it was written."""

    name: Scalar | None = None
    type: Scalar | None = None
    config: dict[Scalar, Scalar | None] | None = None
    depends_on: list[Scalar] | None = None
    nodes: list[Node] | None = None
    condition: Scalar | None = None
    trigger: Any = None


class _Null(Exception):
    """What is a NullPointerException in Java, which has no message: Azkaban then writes `null`."""

    def __str__(self) -> str:
        return "null"


def load(files: Mapping[str, bytes]) -> Loaded:
    """Read all files of a project, by path.  Raises ValueError for a project file that is none."""
    _check_project(files)
    flows: dict[str, Flow] = {}
    errors: list[str] = []
    for path in visible(files, FLOW):
        file = path.rpartition("/")[2]
        name = file.removesuffix(FLOW)
        try:
            nodes = _nodes(_bean(files[path], file))
            if not _is_valid(nodes):
                errors.append(
                    f"Failed to validate nodeBean for {file}. "
                    "Duplicate nodes found or dependency undefined or ROOT used as a name."
                )
            elif name in flows:
                errors.append(f"Duplicate flows found in the project with name {name}")
            else:
                errors += _add(flows, name, nodes, embedded=False)
        except (ValueError, _Null, yaml.YAMLError) as error:  # msgspec's are ValueErrors
            errors.append(f"Error loading flow yaml file {file}:{error}")
    large = any(path.endswith(FLOW) and len(data) > MAX_FLOW_FILE for path, data in files.items())
    unstorable = "Flow file length exceeds 10 MB limit." if large else ""
    return Loaded(flows, tuple(dict.fromkeys(errors)), unstorable)


def _check_project(files: Mapping[str, bytes]) -> None:
    """The nearest project file decides; two side by side are too many.  Raises ValueError."""
    projects = visible(files, PROJECT)
    path = min(projects, key=lambda path: (path.count("/"), path))
    if sum(each.rpartition("/")[0] == path.rpartition("/")[0] for each in projects) > 1:
        raise ValueError("Duplicate project YAML files found in the project directory. Only one is allowed.")
    try:
        said = _parse(files[path])
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    if not isinstance(said, dict) or VERSION not in said:
        raise ValueError(f"{VERSION} is not specified in the project YAML file.")
    if not isinstance(said[VERSION], float) or said[VERSION] != 2.0:  # noqa: PLR2004 - the only one there is
        raise ValueError(f"Invalid {VERSION} in the project YAML file.")


def _parse(data: bytes) -> Any:
    return yaml.load(data, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe


def _bean(data: bytes, file: str) -> Node:
    """Raises ValueError and YAMLError."""
    written = _parse(data)
    if written is None:
        raise ValueError(f"Failed to load flow file {file}. Node bean is null .")
    return msgspec.convert(written, Node)


def _nodes(node: Node) -> list[Node]:
    if node.nodes is None:
        raise _Null
    return node.nodes


def _is_valid(nodes: list[Node]) -> bool:
    """Whether names are unique and none is ROOT, and dependencies defined, here and in what is embedded."""
    names = {node.name for node in nodes}
    return (
        len(names) == len(nodes)
        and ROOT not in names
        and all(names.issuperset(node.depends_on or ()) for node in nodes)
        and all(_is_valid(_nodes(node)) for node in nodes if node.type == EMBEDDED)
    )


def _add(flows: dict[str, Flow], flow_id: str, nodes: list[Node], *, embedded: bool) -> Iterable[str]:
    """Enter a flow, and those that it embeds; the errors found."""
    errors: list[str] = []
    jobs: list[Job] = []
    for node in nodes:
        if node.name is None or node.type is None:
            raise _Null
        inner = f"{flow_id}:{node.name}"
        if node.type == EMBEDDED:
            errors += _add(flows, inner, _nodes(node), embedded=True)
        config = {str(key): str(value) for key, value in (node.config or {}).items()}
        errors += memory_errors(inner, config)
        jobs.append(
            Job(
                str(node.name),
                str(node.type),
                tuple(dict.fromkeys(str(each) for each in node.depends_on or ())),
                embeds=inner if node.type == EMBEDDED else None,
                condition=None if node.condition is None else str(node.condition),
                commands=commands_of(config) if node.type == COMMAND else (),
            )
        )
    errors += _circles(jobs)
    flows[flow_id] = Flow(flow_id, tuple(sorted(jobs, key=lambda job: job.name)), embedded)
    return errors


def _circles(jobs: list[Job]) -> Iterable[str]:
    """Searched from a node above all, so that every circle is found, each once."""
    edges = {job.name: list(job.dependencies) for job in jobs}
    _, back = walk("", edges | {"": list(edges)})
    return [f"Cycles found at {parent}>>{job}" for job, parent in back]
