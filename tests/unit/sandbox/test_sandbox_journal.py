"""The journal: what was recorded is there again, and nothing else is taken for it."""

import errno
import io
import zipfile
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import UsageError
from loadgen.sandbox.azkaban import flows
from loadgen.sandbox.azkaban.archive import unzip
from loadgen.sandbox.azkaban.projects import EVENTS, Created, Deleted, ProjectError, Projects
from loadgen.sandbox.journal import HEADER, Journal


def a_zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(f"{name}.job"), "type=noop")
    return buffer.getvalue()


def opened(path) -> tuple[Projects, Journal]:
    journal = Journal(path)
    projects = Projects(journal.record)
    try:
        journal.restore(dict.fromkeys(EVENTS, projects.apply))
    except BaseException:
        journal.close()
        raise
    return projects, journal


def held(projects: Projects) -> list:
    """All that matters of them; of one that was purged, it does not matter what its versions were."""
    every = [projects.get(number) for number in range(1, 100)]
    return [each if each is None or each.active else (each.id, each.flows) for each in every]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["create", "upload", "fail", "lock", "delete", "purge"]), st.sampled_from("pq")
    ),
    max_size=30,
)


@given(actions=ACTIONS)
def test_what_is_restored_is_what_was_there_also_after_compactions(actions, tmp_path_factory):
    path = tmp_path_factory.mktemp("journal") / "state"
    for half in (actions[: len(actions) // 2], actions[len(actions) // 2 :], []):
        projects, journal = opened(path)
        with closing(journal):
            for turn, (action, name) in enumerate(half):
                act(projects, action, name, turn)
            before = held(projects)
        again, journal = opened(path)
        journal.close()
        assert held(again) == before


def act(projects: Projects, action: str, name: str, turn: int) -> None:
    project = projects.find(name)
    try:
        if action == "create":
            projects.create(name, "d", "u", turn)
        elif project is not None and action == "delete":
            projects.delete(project)
        elif project is not None and action == "lock":
            projects.lock(project.id, next(iter(project.flows), "f"), locked=turn % 3 > 0)
        elif project is not None and action != "purge":
            archive = a_zip("f", "F") if action == "fail" else a_zip("fg"[turn % 2])
            projects.install(project.id, flows.load(unzip(archive)).flows, "v", archive=archive)
        elif action == "purge" and (gone := projects.get(1)) and not gone.active:
            projects.purge(gone)
    except ProjectError:
        pass


def test_compaction_keeps_one_upload_a_project(tmp_path):
    path = tmp_path / "state"
    projects, journal = opened(path)
    number = projects.create("p", "d", "u", 0).id
    for turn in range(50):
        projects.install(number, {}, "u", archive=a_zip(f"f{turn}"))
    journal.close()
    assert path.read_bytes().count(b"\n") == 52
    projects, journal = opened(path)
    journal.close()
    assert path.read_bytes().count(b"\n") == 3
    assert projects.find("p").version == 50
    assert list(projects.find("p").flows) == ["f49"]
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_events_stay_in_the_order_in_which_they_count(tmp_path):
    projects, journal = opened(tmp_path / "state")
    projects.create("p", "d", "u", 0)
    for turn, action in enumerate(("upload", "fail", "upload")):
        act(projects, action, "p", turn)
    journal.close()
    projects, journal = opened(tmp_path / "state")
    journal.close()
    assert projects.find("p").last_version == 3


def test_a_lock_that_an_upload_removed_does_not_come_back(tmp_path):
    projects, journal = opened(tmp_path / "state")
    number = projects.create("p", "d", "u", 0).id
    for locked in (False, True):
        for name in "fgf":
            projects.install(
                number, flows.load({f"{name}.job": b"type=noop"}).flows, "u", archive=a_zip(name)
            )
            if name == "f" and locked:
                projects.lock(number, "f", locked=True)
        assert projects.find("p").locked == ({"f"} if locked else frozenset())
        journal.close()
        projects, journal = opened(tmp_path / "state")
        assert projects.find("p").locked == ({"f"} if locked else frozenset())
        projects.lock(number, "f", locked=True)
    journal.close()


def test_a_torn_last_line_is_left_out_with_a_word(tmp_path, caplog):
    path = tmp_path / "state"
    projects, journal = opened(path)
    for name in "pq":
        projects.create(name, "d", "u", 0)
    journal.close()
    path.write_bytes(path.read_bytes()[:-7])
    projects, journal = opened(path)
    projects.create("r", "d", "u", 0)
    journal.close()
    assert f"{path}:3: the last line is torn, and is left out: " in caplog.text
    projects, journal = opened(path)
    journal.close()
    assert [each.name for each in projects.active()] == ["p", "r"]


def test_a_first_line_that_is_torn_is_an_empty_journal(tmp_path):
    path = tmp_path / "state"
    for torn in (b"", HEADER[:1], HEADER[:-1], HEADER):
        path.write_bytes(torn)
        opened(path)[1].close()
        assert path.read_bytes() == HEADER


CREATED = b'{"type":"Created","id":1,"name":"p","description":"d","owner":"u","created_ms":0}\n'


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"notes of mine", 1),
        (b"notes\nof mine\n", 1),
        (HEADER[:5] + b"x", 1),
        (HEADER + b"\n", 2),
        (HEADER + CREATED + b"{}\n" + CREATED, 3),
        (HEADER + CREATED + b'{"type":"Renamed","id":1}\n', 3),
        (HEADER + CREATED + b'{"type":"Deleted","id":"1"}\n', 3),
        (HEADER + b'{"type":"Deleted","id":7}\n', 2),
        (
            HEADER
            + CREATED
            + b'{"type":"Uploaded","id":1,"version":1,"user":"u","upload_locked":false,'
            + b'"rows":{},"locked":[],"archive":"eA=="}\n',
            3,
        ),
    ],
)
def test_a_damaged_file_is_refused_by_its_line_and_stays_as_it_is(tmp_path, data, line):
    path = tmp_path / "state"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=f"^{path}:{line}: "):
        opened(path)
    assert path.read_bytes() == data


def test_a_file_that_cannot_be_is_one_clear_line(tmp_path):
    with pytest.raises(UsageError, match=r"^cannot keep the state in .*: No such file or directory$"):
        opened(tmp_path / "none" / "state")
    with pytest.raises(UsageError, match=r"^cannot keep the state in"):
        opened(tmp_path)


class FullDisk(io.BytesIO):
    """Takes half of what it is given; then says that it is full."""

    def write(self, data):
        if self.tell() > 1000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data[: len(data) // 2])


@pytest.mark.parametrize("before", [0, 1001])
def test_what_cannot_be_recorded_does_not_happen_and_leaves_no_trace(tmp_path, before):
    projects, journal = opened(tmp_path / "state")
    journal._file.close()
    journal._file = FullDisk(b"x" * before)
    journal._file.seek(before)
    with pytest.raises(OSError, match=r"disk is full|No space"):
        projects.create("p", "d", "u", 0)
    assert projects.find("p") is None
    assert journal._file.getvalue() == b"x" * before
    journal.close()


def test_a_journal_that_another_sandbox_keeps_is_refused(tmp_path):
    path = tmp_path / "state"
    for projects, journal in (opened(path), opened(tmp_path / "other")):
        projects.create("p", "d", "u", 0)
        with pytest.raises(UsageError, match="another sandbox keeps its state there"):
            opened(journal._path)
        projects.create("q", "d", "u", 0)
        journal.close()
    projects, journal = opened(path)
    journal.close()
    assert len(projects.active()) == 2


def test_without_a_file_nothing_is_kept():
    projects, journal = opened(None)
    projects.create("p", "d", "u", 0)
    journal.close()
    assert opened(None)[0].find("p") is None


def test_of_one_subject_the_last_counts():
    first, second = Created(1, "p", "d", "u", 0), Created(1, "q", "d", "u", 0)
    assert first.subject == second.subject != Created(2, "p", "d", "u", 0).subject
    assert Deleted(1).subject != first.subject
