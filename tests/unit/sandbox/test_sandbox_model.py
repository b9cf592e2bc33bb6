"""Projects and sessions, without HTTP."""

import pytest

from loadgen.sandbox.azkaban.flows import Flow
from loadgen.sandbox.azkaban.projects import ProjectError, Projects
from loadgen.sandbox.azkaban.sessions import MAX_SESSIONS, TIME_TO_LIVE_US, Sessions, TooManySessions
from loadgen.sandbox.azkaban.users import LoginFailed, User, Users


def some_flows(*names: str) -> dict[str, Flow]:
    return {name: Flow(name, ()) for name in names}


@pytest.mark.parametrize(
    ("name", "description", "complaint"),
    [
        (None, "d", "Project name cannot be empty."),
        (" ", "d", "Project name cannot be empty."),
        ("p", None, "Description cannot be empty."),
        ("p", " ", "Description cannot be empty."),
        ("1p", "d", "Project names must start with a letter, "),
        ("p q", "d", "Project names must start with a letter, "),
        ("p\n", "d", "Project names must start with a letter, "),
        ("TAKEN", "d", "Project already exists."),
        ("p" * 65, "d", f"Insert project{'p' * 65} for existing project failed. "),
    ],
)
def test_create_refuses(name, description, complaint):
    projects = Projects()
    projects.create("taken", "d", "u", 0)
    with pytest.raises(ProjectError) as refused:
        projects.create(name, description, "u", 0)
    assert str(refused.value).startswith(complaint)
    assert len(projects.active()) == 1


@pytest.mark.parametrize("name", ["p", "P-1_x", "a|b", "p" * 64])
def test_create_takes(name):
    assert Projects().create(name, "d", "u", 0).name == name


def test_install_replaces_all_flows():
    projects = Projects()
    project = projects.create("p", "d", "u", 0)
    projects.install(project.id, some_flows("a", "b"), "u")
    assert projects.install(project.id, some_flows("c"), "u").version == 2
    assert list(projects.find("P").flows) == ["c"]


@pytest.mark.parametrize("bad", [("A", "a"), ("x" * 129,)])
def test_a_failed_install_changes_nothing_and_loses_a_version(bad):
    projects = Projects()
    project = projects.create("p", "d", "u", 0)
    projects.install(project.id, some_flows("old"), "u")
    with pytest.raises(ProjectError, match=f"^Error inserting flow {bad[-1]}$"):
        projects.install(project.id, some_flows(*bad), "u")
    assert projects.find("p").version == 1
    assert list(projects.find("p").flows) == ["old"]
    assert projects.install(project.id, some_flows("new"), "u").version == 3


def test_a_deleted_project_frees_its_name_but_not_its_id():
    projects = Projects()
    old = projects.create("p", "d", "u", 0)
    projects.delete(old)
    assert projects.find("p") is None
    assert projects.get(old.id).active is False
    assert projects.create("p", "d", "u", 0).id != old.id


def test_an_upload_that_a_delete_overtook_does_not_revive_the_project():
    projects = Projects()
    project = projects.create("p", "d", "u", 0)
    projects.delete(project)
    assert projects.install(project.id, some_flows("a"), "u").active is False
    assert projects.find("p") is None


def test_a_session_ends_ten_hours_after_its_last_use():
    sessions = Sessions()
    session = sessions.open("u", 0)
    assert sessions.find(session.id, TIME_TO_LIVE_US - 1) == session
    assert sessions.find(session.id, 2 * TIME_TO_LIVE_US - 2) == session
    assert sessions.find(session.id, 3 * TIME_TO_LIVE_US - 2) is None
    assert sessions.find(session.id, 0) is None


def test_sessions_are_independent_until_there_are_too_many():
    sessions = Sessions()
    first, second = sessions.open("u", 0), sessions.open("u", 0)
    assert sessions.find(first.id, 1) == first
    for _ in range(MAX_SESSIONS - 1):
        sessions.open("u", 2)
    assert sessions.find(second.id, 3) is None
    assert sessions.find(first.id, 3) == first


def test_a_session_ends_after_so_many_calls():
    sessions = Sessions(calls=2)
    session = sessions.open("u", 0)
    assert [sessions.find(session.id, 0) == session for _ in range(4)] == [True, True, False, False]


def test_a_session_may_live_shorter():
    sessions = Sessions(1000)
    session = sessions.open("u", 0)
    assert sessions.find(session.id, 999) == session
    assert sessions.find(session.id, 1999) is None


def test_a_user_has_so_many_sessions_that_live_and_no_more():
    sessions = Sessions(1000, calls=1, per_user=2)
    first, _ = sessions.open("u", 0), sessions.open("u", 500)
    sessions.open("v", 500)
    with pytest.raises(TooManySessions, match=r"reached allowed limit \(2\)\.$") as full:
        sessions.open("u", 500)
    assert sessions.find(full.value.session.id, 500) is None
    sessions.find(first.id, 500)  # its only call
    third = sessions.open("u", 500)
    sessions.close(third)
    sessions.open("u", 500)
    with pytest.raises(TooManySessions):
        sessions.open("u", 1499)
    assert sessions.open("u", 1500), "one has ended by itself"


def test_users_may_what_they_own_and_administrators_all():
    users = Users(User("root", "r", admin=True), User("a", "x"), User("b", "y"))
    project = Projects().create("p", "d", "a", 0)
    assert [users.may(name, project) for name in ("root", "a", "b")] == [True, True, False]
    assert users.check("a", "x") == "a"
    for name, password in (("a", "y"), ("c", "x"), ("", "x"), ("a", " ")):
        with pytest.raises(LoginFailed):
            users.check(name, password)


def test_the_database_keeps_three_versions_before_the_current_one():
    projects = Projects()
    number = projects.create("p", "d", "u", 0).id
    kept = [dict(projects.install(number, some_flows(*"abcdefgh"[:size]), "u").rows) for size in range(1, 7)]
    assert kept[3] == {1: 1, 2: 2, 3: 3, 4: 4}
    assert kept[4] == {2: 2, 3: 3, 4: 4, 5: 5}
    assert kept[5] == {3: 3, 4: 4, 5: 5, 6: 6}


def test_a_delete_has_two_halves_and_a_second_one_spares_the_name_s_next_owner():
    projects = Projects()
    old = projects.create("p", "d", "u", 0)
    projects.retire(old)
    assert projects.find("p").active is False
    with pytest.raises(ProjectError, match="already exists"):
        projects.create("p", "d", "u", 0)
    projects.delete(old)
    new = projects.create("p", "d", "u", 0)
    projects.delete(old)
    assert projects.find("p") == new
