"""How to test a scenario without its target: `responses` answers, and what was sent can be looked at.

Steps and hooks are plain functions: call them with a Session from `loadgen.testing`.  `do_item` does an
item as a run would, and tells what the ledger would be told.
"""

import importlib.util
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qs

import pytest
import responses
from requests import PreparedRequest
from responses import matchers

from loadgen import Retry, Scenario, Session
from loadgen.loader import load, make_work
from loadgen.testing import FakeMade, Outcome, do_item, session

FILE = Path(__file__).parents[3] / "scenarios" / "azkaban_flows.py"
URL = "http://azkaban.test:8081"
MANAGER = f"{URL}/manager"


@pytest.fixture(scope="module")
def flows() -> ModuleType:
    """The scenario, imported from its file."""
    spec = importlib.util.spec_from_file_location("azkaban_flows", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def azkaban() -> Iterator[responses.RequestsMock]:
    """Answers as Azkaban would; a request that no test has foreseen fails."""
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def http() -> Iterator[Session]:
    with session(URL) as it:
        yield it


def sent_zip(request: PreparedRequest) -> dict[str, str]:
    """The files in the uploaded archive."""
    body = request.body
    assert isinstance(body, bytes)
    start = body.index(b"PK\x03\x04")
    with zipfile.ZipFile(io.BytesIO(body[start:])) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


class TestLogin:
    def test_sends_user_and_password_in_the_body(self, flows, azkaban, http) -> None:
        azkaban.post(
            f"{URL}/",
            json={"status": "success", "session.id": "42"},
            headers={"Set-Cookie": "azkaban.browser.session.id=42"},
            match=[
                matchers.query_param_matcher({"action": "login"}),
                matchers.urlencoded_params_matcher({"username": "ann", "password": "pa ss"}),
            ],
        )
        flows.login(http, flows.Options(user="ann", password="pa ss"))
        assert http.cookies["azkaban.browser.session.id"] == "42"

    def test_a_refusal_says_what_azkaban_said(self, flows, azkaban, http) -> None:
        azkaban.post(f"{URL}/", json={"error": "Incorrect Login. User not found."})
        with pytest.raises(flows.AzkabanError, match="Incorrect Login"):
            flows.login(http, flows.Options())

    def test_happens_once_for_a_session_when_it_is_its_on_login(self, flows, azkaban, http) -> None:
        azkaban.post(f"{URL}/", json={"status": "success"})
        azkaban.post(MANAGER, json={"status": "success"})
        http.on_login = lambda it: flows.login(it, flows.Options())
        flows.create_projects(http, flows.Options(flows=2, projects=2))
        asked = [call.request.path_url for call in azkaban.calls]
        assert asked == ["/?action=login", "/manager", "/manager"]


class TestSetup:
    def test_creates_the_projects_that_get_flows(self, flows, azkaban, http) -> None:
        azkaban.post(MANAGER, json={"status": "success"})
        kept = flows.create_projects(http, flows.Options(flows=3, projects=100, prefix="night"))
        bodies = [parse_qs(str(call.request.body)) for call in azkaban.calls]
        assert [body["name"] for body in bodies] == [["night_0000"], ["night_0001"], ["night_0002"]]
        assert kept == {"created": ["night_0000", "night_0001", "night_0002"]}

    def test_a_project_that_is_there_is_fine_and_another_error_is_not(self, flows, azkaban, http) -> None:
        azkaban.post(MANAGER, json={"status": "error", "message": "Project already exists."})
        azkaban.post(MANAGER, json={"status": "error", "message": "User has no permission."})
        with pytest.raises(flows.AzkabanError, match="cannot create project loadgen_0001: User has no"):
            flows.create_projects(http, flows.Options(flows=2, projects=2))


class TestStep:
    def test_uploads_all_that_the_project_should_hold_by_then(self, flows, azkaban, http) -> None:
        azkaban.post(MANAGER, json={"projectId": "7", "version": "3"})
        options = flows.Options(flows=40, projects=4, batch=2)
        tried = do_item(flows.create_flows, 9, options, http)  # the third upload to project 1
        assert tried.result.outcome is Outcome.DONE
        assert tried.value == {"project": "loadgen_0001", "version": 3, "flows": 6}
        names = [f"flow_{number:06d}.job" for number in (1, 5, 9, 13, 17, 21)]
        assert sent_zip(azkaban.calls[0].request) == dict.fromkeys(names, "type=noop\n")

    def test_makes_one_call_named_upload(self, flows, azkaban, http) -> None:
        azkaban.post(MANAGER, json={"projectId": "7", "version": "1"})
        (sample,) = do_item(flows.create_flows, 0, flows.Options(), http).samples
        assert (sample.label, sample.status, sample.error) == ("upload", 200, "")

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            ({"json": {"error": "Installation Failed."}}, "AzkabanError: Installation Failed."),
            ({"body": "<html>log in</html>"}, "AzkabanError: not JSON: <html>log in</html>"),
            ({"json": {"version": "1"}, "status": 503}, "answered 503"),
        ],
    )
    def test_what_azkaban_refuses_fails_the_item_with_its_words(
        self, flows, azkaban, http, answer, error
    ) -> None:
        azkaban.post(MANAGER, **answer)
        tried = do_item(flows.create_flows, 0, flows.Options(), http)
        assert tried.result.outcome is Outcome.FAILED
        assert error in tried.result.error
        assert tried.value is None

    def test_the_items_fill_every_project_exactly(self, flows) -> None:
        options = flows.Options(flows=103, projects=10, batch=4)
        plan = make_work(load(FILE), options)
        turns: dict[int, list[int]] = {}
        for item, key in enumerate(plan.keys[0] or ()):
            turns.setdefault(key, []).append(item // options.projects)
        for project in range(10):
            uploads = -(-len(flows.flows_of(project, options)) // options.batch)
            assert turns[project] == list(range(uploads))


class TestVerify:
    def test_compares_what_is_there_with_what_should_be(self, flows, azkaban, http) -> None:
        there = {
            "loadgen_0000": ["flow_000000", "flow_000002"],
            "loadgen_0001": ["flow_000001", "left_over"],
        }
        for project, names in there.items():
            azkaban.get(
                MANAGER,
                json={"flows": [{"flowId": name} for name in names]},
                match=[matchers.query_param_matcher({"ajax": "fetchprojectflows", "project": project})],
            )
        found = flows.all_flows_exist(http, flows.Options(flows=4, projects=2))
        assert (found.expected, found.found, found.ok) == (4, 3, False)
        assert found.missing == ["loadgen_0001/flow_000003"]
        assert found.unexpected == ["loadgen_0001/left_over"]


class TestTeardown:
    def test_a_project_that_is_gone_is_fine_and_another_failure_is_not(self, flows, azkaban, http) -> None:
        def redirect(message: str) -> dict[str, str]:
            return {"Location": "/index", "Set-Cookie": f'azkaban.failure.message="{message}"'}

        azkaban.get(MANAGER, status=302, headers={"Location": "/index"})
        azkaban.get(MANAGER, status=302, headers=redirect("Project loadgen_0001 doesn't exist"))
        azkaban.get(MANAGER, status=302, headers=redirect("Cannot delete: flows are running"))
        made = FakeMade(setup={"created": [f"loadgen_000{number}" for number in range(3)]})
        with pytest.raises(flows.AzkabanError, match=r"cannot delete project loadgen_0002: .*running"):
            flows.delete_projects(http, flows.Options(), made)

    def test_what_setup_did_not_create_stays(self, flows, azkaban, http) -> None:
        flows.delete_projects(http, flows.Options(flows=3, projects=3), FakeMade())


class TestOptions:
    @pytest.mark.parametrize("wrong", [{"projects": 0}, {"batch": 0}, {"flows": -1}])
    def test_what_makes_no_sense_is_refused(self, flows, wrong) -> None:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            flows.Options(**wrong)


@pytest.mark.timeout(15)
def test_do_item_tries_again_as_a_run_would_but_does_not_wait(azkaban, http) -> None:
    scenario = Scenario()

    @scenario.step(items=1, retry=Retry(attempts=3, backoff_s=60))
    def ask(http: Session, item: int, options: object) -> object:
        return http.get("/").json()

    azkaban.get(URL, status=503)
    azkaban.get(URL, json=["at last"])
    tried = do_item(ask, 0, None, http)
    assert (tried.result.outcome, tried.result.attempt, tried.value) == (Outcome.DONE, 2, ["at last"])
    assert [sample.status for sample in tried.samples] == [503, 200]


def test_do_item_takes_rows_too(azkaban, http) -> None:
    scenario = Scenario()

    @scenario.step(items=[{"name": "ann"}])
    def add(http: Session, item: dict[str, str], options: object) -> None:
        http.post("/users", json=item)

    azkaban.post(f"{URL}/users", match=[matchers.json_params_matcher({"name": "ann"})])
    assert do_item(add, {"name": "ann"}, None, http).result.outcome is Outcome.DONE
