r"""Create jobs one by one, by a front end that packs the whole project anew for each.

That is where it all began: a tester's loop over a "create job" call.  Its server unpacks the project's
archive, adds the job, packs it, and uploads it to Azkaban again, so that every call is slower than the one
before: under a second at first, near three after a thousand jobs in one project.

    loadgen run scenarios/mammut_jobs.py                       # the loop as it was: 1000 jobs, half an hour
    loadgen run scenarios/mammut_jobs.py --set projects=50     # the same jobs, spread over 50 projects
    loadgen run scenarios/mammut_jobs.py --set jobs=200 \
        --target 'sandbox:azkaban?front=create-job&front-base-cost=9&front-cost-per-job=0.02'

The project is the item's key: its server would do one after the other anyway.  docs/story.md has the figures.
The front end takes no job out of a project, so `loadgen clean` deletes the projects that the run made, and
leaves what it added to those that were there.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import azkaban
from azkaban import RETRY, AzkabanError, ask

from loadgen import Made, Scenario, Session, Verification, option


@dataclass(frozen=True)
class Options:
    """What can be set."""

    jobs: int = option(1000, help="How many jobs there should be in the end")
    projects: int = option(1, help="How many projects share them")
    prefix: str = option("mammut", help="Project names begin with it")
    user: str = option("azkaban", env="AZKABAN_USER")
    password: str = option("azkaban", env="AZKABAN_PASSWORD", secret=True)
    # Tells the projects of this run from all others: part of their descriptions.
    tag: str = field(default_factory=lambda: secrets.token_hex(4))

    def __post_init__(self) -> None:
        if self.projects < 1 or self.jobs < 0:
            raise ValueError("projects must be at least 1, and jobs must not be negative")


# Of one project only one job is under way at a time: more slots than projects would idle.
scenario = Scenario(options=Options, target="sandbox:azkaban?front=create-job", concurrency=8)
JOB_NAME = r"job_\d{6,}"
"""A pattern of the names that `place` gives, whatever the options."""


def project_name(project: int, options: Options) -> str:
    """Azkaban's rule: a letter, then letters, digits, `-` and `_`."""
    return f"{options.prefix}_{project:04d}"


def place(item: int, options: Options) -> tuple[str, str]:
    """Project and name of a job."""
    return project_name(item % options.projects, options), f"job_{item:06d}"


def filled(options: Options) -> int:
    """How many projects get any job."""
    return min(options.projects, options.jobs)


@scenario.login
def login(http: Session, options: Options) -> None:
    """Each thread has a session of its own, and logs in again when it has ended."""
    azkaban.log_in(http, options.user, options.password)


@scenario.setup
def look_around(http: Session, options: Options) -> dict[str, list[str]]:
    """The projects of ours that are there already, and their jobs: neither to delete nor to wonder about."""
    names = [project_name(project, options) for project in range(filled(options))]
    there = {name: azkaban.listed(http, name) for name in names}
    return {name: jobs for name, jobs in there.items() if jobs is not None}


@scenario.step(items=filled, delivery="at_least_once", retry=RETRY)
def projects(http: Session, item: int, options: Options) -> dict[str, object]:
    """Create a project, unless it is there."""
    name = project_name(item, options)
    created = azkaban.create(http, name, options.tag)
    return {"project": name, "id": azkaban.project_id(http, name), "created": created}


@projects.exists
def project_exists(http: Session, item: int, options: Options) -> bool:
    """It has an id."""
    return azkaban.project_id(http, project_name(item, options)) is not None


@scenario.step(
    items=lambda options: options.jobs,
    key=lambda item, options: item % options.projects,
    delivery="verify",  # a job is created once, and then it is there to be seen
    retry=RETRY,
)
def jobs(http: Session, item: int, options: Options) -> dict[str, object]:
    """Create a job.  One that is there already was created by an earlier try, or is not ours."""
    project, job = place(item, options)
    fields = {"project": project, "name": job}
    try:
        said = ask(http, "POST", "/mammut/jobs", data=fields, name="create job")
    except AzkabanError as error:
        if http.attempt == 1 or "already exists" not in str(error):
            raise
        return {"project": project, "job": job}
    return {"project": project, "job": job, "version": int(said["version"])}


@jobs.exists
def job_exists(http: Session, item: int, options: Options) -> bool:
    """A job that no other depends on is a flow."""
    project, job = place(item, options)
    return job in (azkaban.listed(http, project) or ())


@scenario.verify
def all_is_there(http: Session, options: Options, made: Made) -> Verification:
    """Each project holds its jobs, what it held before, and nothing else."""
    before = made.setup or {}
    wanted = {place(item, options) for item in range(options.jobs)} if "jobs" in made.steps else set()
    expected, found = {f"{project}/{job}" for project, job in wanted}, set()
    for project in sorted({project for project, _ in wanted}):
        kept = set(before.get(project, ()))
        there = azkaban.listed(http, project) or ()
        found |= {f"{project}/{job}" for job in there if job not in kept or (project, job) in wanted}
    return Verification.of(expected, found)


@scenario.teardown
def take_back(http: Session, options: Options, made: Made) -> None:
    """Delete and purge the projects that the run has made, but none of before, or of others.

    Raises AzkabanError at the end when such are left.
    """
    ours: dict[str, set[str]] = {project_name(number, options): set() for number in range(filled(options))}
    for item in range(options.jobs):
        project, job = place(item, options)
        ours[project].add(job)
    doubtful = (*made.failed("projects"), *made.unknown("projects"))
    told: dict[str, Mapping[str, Any]] = {project_name(it, options): azkaban.IN_DOUBT for it in doubtful}
    told |= {entry["project"]: entry for entry in made("projects")}
    left = [
        azkaban.delete_ours(http, name, [told[name]], ours[name], JOB_NAME, options.tag)
        for name in sorted(told.keys() - set(made.setup or ()))
    ]
    if any(left):
        raise AzkabanError(f"left: {'; '.join(filter(None, left))}")
