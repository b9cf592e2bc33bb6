"""The files of a project, read as flows: Flow 1.0, one `.job` file a job; Flow 2.0 in yaml_flows.py.  Pure.

A job that no other depends on is the end of a flow, and gives it its name.  Errors are Azkaban's
own texts.  Two of its oddities are kept: jobs in a circle that nothing outside depends on are in no
flow and so in no error, and what `.properties` files say is inherited by the jobs beside and below.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from typing import TYPE_CHECKING

import msgspec

from loadgen.sandbox.azkaban import properties

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

JOB = ".job"
PROPERTIES = ".properties"
PROJECT = ".project"
ROOT = "ROOT"
EMBEDDED = "flow"
"""The job type that stands for another flow."""
COMMAND = "command"
MEMORY_LIMITS = {"Xms": ("1G", 1 << 30), "Xmx": ("2G", 2 << 30)}
"""What a job may ask for at most: as it is written in messages, and in bytes."""
MEMORY_UNITS = {"": 0, "K": 10, "M": 20, "G": 30}


class Job(msgspec.Struct, frozen=True):
    """One `.job` file."""

    name: str
    type: str
    dependencies: tuple[str, ...] = ()
    """Names of the jobs that run before it, without repetitions."""
    embeds: str | None = None
    """The flow that it stands for; only for jobs of type `flow`."""
    condition: str | None = None
    """When it runs, given how its dependencies ended."""
    commands: tuple[str, ...] = ()
    """What it would execute; only for jobs of type `command`."""
    lost: bool = False
    """Whether there is no file to run it by: it came with an upload that has not set its version yet."""


class Flow(msgspec.Struct, frozen=True):
    """A job that nobody depends on, with all that it depends on."""

    id: str
    jobs: tuple[Job, ...]
    embedded: bool = False
    """Whether it is only a part of another, as the nodes of type `flow` of Flow 2.0 are."""


class Loaded(msgspec.Struct, frozen=True):
    """What a project's files come to; usable only when there are no errors."""

    flows: Mapping[str, Flow]
    errors: tuple[str, ...]
    unstorable: str = ""
    """Why the database will not take it, though nothing is wrong with it; mostly empty."""


def with_embedded(flow: Flow, flows: Mapping[str, Flow]) -> dict[str, Flow]:
    """The flow, and those among a project's flows that are embedded in it, however deep."""
    found, waiting = {flow.id: flow}, [flow]
    while waiting:
        embedded = {job.embeds for job in waiting.pop().jobs if job.embeds is not None} - found.keys()
        for name in sorted(embedded & flows.keys()):
            found[name] = flows[name]
            waiting.append(flows[name])
    return found


def run_by(flows: Mapping[str, Flow], files: Mapping[str, Flow]) -> dict[str, Flow]:
    """These flows as an executor runs them that has other files: its jobs may be older ones, or lost."""
    old = {job.name: job for flow in files.values() for job in flow.jobs}
    return {
        flow.id: msgspec.structs.replace(flow, jobs=tuple(_run_by(job, old) for job in flow.jobs))
        for flow in flows.values()
    }


def _run_by(job: Job, old: Mapping[str, Job]) -> Job:
    if job.name not in old:
        return msgspec.structs.replace(job, lost=True)
    return msgspec.structs.replace(job, type=old[job.name].type, commands=old[job.name].commands)


def load(files: Mapping[str, bytes]) -> Loaded:
    """Read all files of a project, by path.  Raises ValueError for what Azkaban does not even report on."""
    if visible(files, PROJECT):
        from loadgen.sandbox.azkaban import yaml_flows  # YAML is heavy; only who uses it pays

        return yaml_flows.load(files)
    jobs, roots, errors = _read_jobs(files)
    depended_on = {name for job in jobs.values() for name in job.dependencies}
    edges = {
        job.name: [name for name in job.dependencies if name in jobs and name != job.name]
        for job in jobs.values()
    }
    flows: dict[str, Flow] = {}
    for name in jobs:
        if name in roots or name not in depended_on:
            reached, circles = walk(name, edges)
            errors += [f"Cyclical dependency found at {source}>>{target}" for target, source in circles]
            flows[name] = Flow(name, tuple(jobs[each] for each in sorted(reached)))
    errors += _embedding_errors(flows)
    return Loaded(flows, tuple(dict.fromkeys(errors)))


def _read_jobs(files: Mapping[str, bytes]) -> tuple[dict[str, Job], set[str], list[str]]:
    """The jobs that are not in doubt by name, the names that root.node forces to be flows, the errors."""
    inherited = _inherited(files)
    jobs: dict[str, Job] = {}
    roots: set[str] = set()
    duplicates: set[str] = set()
    errors: list[str] = []
    for path in visible(files, JOB):
        directory, _, file = path.rpartition("/")
        name = file.removesuffix(JOB)
        if name in duplicates:
            continue
        if name in jobs:
            errors.append(f"Duplicate job names found '{name}'.")
            duplicates.add(name)
            del jobs[name]
            continue
        props = properties.parse(files[path])
        if inherited[directory]:
            props = inherited[directory] | props
        jobs[name] = _job(name, props)
        if props.get("root.node", "").strip().lower() == "true":
            roots.add(name)
        errors += _property_errors(name, props)
    for job in jobs.values():
        if job.dependencies:
            errors += _dependency_errors(job, jobs, duplicates)
    return jobs, roots, errors


def _inherited(files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """What the `.properties` files hand down to each directory: its own, sorted by name, win."""
    directories = {""}
    for path in files:
        directory = path.rpartition("/")[0]
        while directory not in directories:
            directories.add(directory)
            directory = posixpath.dirname(directory)
    own: dict[str, list[str]] = {}
    for path in visible(files, PROPERTIES):
        own.setdefault(posixpath.dirname(path), []).append(path)
    inherited: dict[str, dict[str, str]] = {}
    for directory in sorted(directories):  # a directory sorts before what is below it
        props = inherited[posixpath.dirname(directory)] if directory else {}
        for path in own.get(directory, ()):
            props = props | properties.parse(files[path])
        inherited[directory] = props
    return inherited


def visible(files: Iterable[str], suffix: str) -> list[str]:
    """The paths of that suffix, sorted.  Hidden files do not count; files in hidden directories do."""
    named = [path for path in files if path.endswith(suffix)]
    return sorted(path for path in named if not path.rpartition("/")[2].startswith(".")) if named else named


def memory_errors(name: str, props: Mapping[str, str]) -> list[str]:
    """What a job asks for beyond the limits.  Raises ValueError for an amount that is none."""
    return [
        f"{name}: {key} value has exceeded the allowed limit (max {key} = {written})"
        for key, (written, limit) in MEMORY_LIMITS.items()
        if key in props and not props[key].startswith("${") and _bytes(props[key]) > limit
    ]


def _job(name: str, props: Mapping[str, str]) -> Job:
    kind = props.get("type", "")
    return Job(
        name,
        kind,
        dependencies=_names(props["dependencies"]) if "dependencies" in props else (),
        embeds=props.get("flow.name", "null") if kind == EMBEDDED else None,
        condition=props.get("condition"),
        commands=commands_of(props) if kind == COMMAND else (),
    )


def commands_of(props: Mapping[str, str]) -> tuple[str, ...]:
    """`command`, `command.1` and so on, up to the first gap."""
    keys = itertools.chain(["command"], (f"command.{number}" for number in itertools.count(1)))
    return tuple(props[key] for key in itertools.takewhile(props.__contains__, keys))


def _names(listed: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in listed.split(",") if (name := part.strip())))


def _property_errors(name: str, props: Mapping[str, str]) -> list[str]:
    errors = []
    if name == ROOT:
        errors.append(f"{ROOT} is not allowed as a name. Pick some other name.")
    if "type" not in props:
        errors.append(f"Job doesn't have type set '{name}'.")
    if "Xms" in props or "Xmx" in props:
        errors += memory_errors(name, props)
    return errors


def _bytes(amount: str) -> int:
    """`512M` in bytes.  Raises ValueError with Java's words."""
    match = re.fullmatch(r"(\d+)([KMG]?)", amount.strip().upper())
    if match is None:
        raise ValueError(f'For input string: "{amount}"')
    return int(match[1]) << MEMORY_UNITS[match[2]]


def _dependency_errors(job: Job, jobs: Mapping[str, Job], duplicates: set[str]) -> Iterable[str]:
    for name in job.dependencies:
        if name == job.name:
            yield f"{job.name} has a self cycle"
        elif name in duplicates:
            yield f"{job.name} has ambiguous dependency {name}"
        elif name not in jobs:
            yield f"{job.name} cannot find dependency {name}"


def _embedding_errors(flows: Mapping[str, Flow]) -> Iterable[str]:
    embedded = {
        flow.id: [job.embeds for job in flow.jobs if job.embeds is not None] for flow in flows.values()
    }
    for flow, others in embedded.items():
        for other in others:
            if other not in flows:
                yield f"Flow {flow} depends on {other} but can't be found."
    known = {flow: [other for other in others if other in flows] for flow, others in embedded.items()}
    for flow, others in known.items():
        if others:
            _, circles = walk(flow, known)
            for source, target in circles:
                yield f"Embedded flow cycle found in {source}->{target}"


def walk(start: str, edges: Mapping[str, list[str]]) -> tuple[set[str], list[tuple[str, str]]]:
    """All that can be reached from the start, and the edges that lead back onto the way that led there.

    Azkaban walks every path anew, which takes exponential time where paths part and meet again; this
    visits each job once and finds a back edge in the same graphs.
    """
    if not edges[start]:
        return {start}, []
    reached = {start}
    back: list[tuple[str, str]] = []
    way = {start}
    stack = [(start, iter(edges[start]))]
    while stack:
        here, ahead = stack[-1]
        for there in ahead:
            if there in way:
                back.append((here, there))
            elif there not in reached:
                reached.add(there)
                way.add(there)
                stack.append((there, iter(edges[there])))
                break
        else:
            way.discard(here)
            stack.pop()
    return reached, back
