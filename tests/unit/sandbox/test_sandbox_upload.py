"""Where a zip is read: at once, or beside the event loop."""

import asyncio
import io
import zipfile

import pytest

from loadgen.sandbox.azkaban.profile import PROFILES
from loadgen.sandbox.azkaban.projects import Projects
from loadgen.sandbox.azkaban.upload import SMALL, Rules, Upload
from loadgen.sandbox.azkaban.users import User, Users
from loadgen.sandbox.faults import Faults
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
    upload = Upload(projects, Users(User("u", "u")), Faults(), Rules(profile=PROFILES["4.0"]))
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
