"""Where a zip is read: at once, or beside the event loop; and what its project waits for."""

import asyncio
import io
import zipfile

import pytest

from loadgen.sandbox.azkaban.projects import Projects
from loadgen.sandbox.azkaban.site import Site
from loadgen.sandbox.azkaban.upload import SMALL, Upload
from loadgen.sandbox.azkaban.users import User, Users
from loadgen.sandbox.messages import FilePart


def a_zip(jobs: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(jobs):
            archive.writestr(f"f{number}.job", "type=noop")
    return buffer.getvalue()


async def turns_during_an_upload(data: bytes) -> int:
    """How often the event loop came round while the upload ran."""
    projects = Projects()
    projects.create("p", "d", "u", 0)
    upload = Upload(projects, Site(users=Users(User("u", "u"))))
    parts = {"project": "p", "file": FilePart("f.zip", "application/zip", data)}
    uploading = asyncio.create_task(upload.install(parts, "u"))
    turns = 0
    while not uploading.done():
        await asyncio.sleep(0)
        turns += 1
    assert uploading.result().status == 200
    return turns


@pytest.mark.parametrize(("jobs", "beside"), [(10, False), (2000, True)])
def test_a_large_zip_does_not_stop_the_loop_and_a_small_one_takes_no_thread(jobs, beside):
    data = a_zip(jobs)
    assert (len(data) > SMALL) == beside
    assert (asyncio.run(turns_during_an_upload(data)) > 1) == beside


class Waits:
    """Stands in for `asyncio.sleep`: nobody waits, and it is known who would have waited together."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.most = 0
        self._now = 0

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        self._now += 1
        self.most = max(self.most, self._now)
        await yielded(round(20 * seconds))
        self._now -= 1


async def yielded(turns: int) -> None:
    """Let others go on for so many turns of the event loop."""
    for _ in range(turns):
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        await future


def a_server(waits, monkeypatch, **costs) -> tuple[Projects, Upload]:
    monkeypatch.setattr("loadgen.sandbox.azkaban.upload.asyncio.sleep", waits.sleep)
    projects = Projects()
    for name in "pqrs":
        projects.create(name, "d", "u", 0)
    return projects, Upload(projects, Site(users=Users(User("u", "u", admin=True)), **costs))


def to(project: str, jobs: int) -> dict[str, str | FilePart]:
    return {"project": project, "file": FilePart("f.zip", "application/zip", a_zip(jobs))}


def test_edge_02_an_upload_costs_by_flow_and_more_from_the_fifth_on(monkeypatch):
    waits = Waits()
    _, upload = a_server(waits, monkeypatch, base_cost_s=1, cost_per_flow_s=0.125)

    async def upload_all() -> list[list[float]]:
        asked = []
        for jobs in (1, 2, 3, 4, 5, 6):
            await upload.install(to("p", jobs), "u")
            asked.append(waits.asked[:])
            waits.asked.clear()
        return asked

    assert asyncio.run(upload_all()) == [
        [1.125],
        [1.25],
        [1.375],
        [1.5],
        [1.625, 0.125],  # and version 1 is deleted, which had one flow
        [1.75, 0.25],
    ]


@pytest.mark.parametrize(("names", "at_a_time"), [("pppp", 1), ("pqrs", 4), ("ppqq", 2)])
def test_edge_02_uploads_wait_for_each_other_in_a_project_and_not_across(monkeypatch, names, at_a_time):
    waits = Waits()
    _, upload = a_server(waits, monkeypatch, base_cost_s=1)

    async def upload_all() -> list[int]:
        results = await asyncio.gather(*(upload.install(to(name, 1), "u") for name in names))
        return [result.status for result in results]

    assert asyncio.run(upload_all()) == [200] * 4
    assert waits.most == at_a_time
    assert waits.asked == [1] * 4


def test_edge_03_the_version_in_the_answer_may_be_another_upload_s(monkeypatch):
    """It is read once the lock is given back, and old versions are deleted."""
    projects, upload = a_server(Waits(), monkeypatch, cost_per_flow_s=1)

    async def upload_six() -> list[str]:
        for jobs in (3, 1, 1, 1):
            await upload.install(to("p", jobs), "u")
        results = await asyncio.gather(upload.install(to("p", 1), "u"), upload.install(to("p", 1), "u"))
        return [result.said["version"] for result in results]

    assert asyncio.run(upload_six()) == ["6", "6"]
    assert projects.find("p").version == 6


def test_edge_25_a_failed_persist_costs_its_time_and_its_version(monkeypatch):
    waits = Waits()
    projects, upload = a_server(waits, monkeypatch, base_cost_s=1)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("p.project", "azkaban-flow-version: 2.0")
        archive.writestr("f.flow", "nodes: [{name: a, type: noop}]\n" + "#" * (10 * 1024 * 1024))
    part = FilePart("f.zip", "application/zip", buffer.getvalue())
    result = asyncio.run(upload.install({"project": "p", "file": part}, "u"))
    assert result.said["error"] == "Installation Failed.<br>Flow file length exceeds 10 MB limit."
    assert (waits.asked, result.status, result.said["version"]) == ([1], 500, "0")
    assert asyncio.run(upload.install(to("p", 1), "u")).said["version"] == "2"
    assert projects.find("p").rows == {2: 1}


def test_edge_07_a_project_that_is_being_deleted_was_already_removed(monkeypatch):
    """It is found by its name until the database is done."""
    projects, upload = a_server(Waits(), monkeypatch)
    projects.retire(projects.find("p"))
    result = asyncio.run(upload.install(to("p", 1), "u"))
    assert (result.status, result.said) == (
        410,
        {"error": "Installation Failed. Project 'p was already removed."},
    )
