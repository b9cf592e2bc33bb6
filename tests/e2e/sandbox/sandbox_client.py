"""What the tests of the sandbox share: a plain `requests` client of Azkaban, and its access log.

Tests named `test_edge_NN_...` are the edge cases of the facts about Azkaban, by their number there.
"""

import io
import json
import threading
import zipfile

import requests

LOGIN = {"username": "azkaban", "password": "azkaban"}
GUEST = {"username": "guest", "password": "guest"}
AJAX = {"X-Requested-With": "XMLHttpRequest"}
LOGIN_PAGE = "<!-- /.login -->"
DEADLINE_S = 20


def a_zip(*names: str, **files: str) -> bytes:
    """Jobs of type noop by name, and files with a text of their own."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(f"{name}.job", "type=noop\n")
        for name, text in files.items():
            archive.writestr(f"{name}.job", text)
    return buffer.getvalue()


class Client:
    """A logged-in user who sends `session.id` with everything, and no cookie."""

    def __init__(self, url: str, login: dict[str, str] = LOGIN) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False
        self.session_id = self.http.post(f"{url}/?action=login", data=login).json()["session.id"]
        self.http.cookies.clear()

    def close(self) -> None:
        self.http.close()

    def get(self, path: str = "/manager", **params: str) -> requests.Response:
        params = {"session.id": self.session_id, **params}
        return self.http.get(self.url + path, params=params, allow_redirects=False)

    def post(self, path: str = "/manager", **data: str) -> requests.Response:
        data = {"session.id": self.session_id, **data}
        return self.http.post(self.url + path, data=data, allow_redirects=False)

    def create(self, name: str, description: str = "d") -> requests.Response:
        return self.post(action="create", name=name, description=description)

    def upload(self, project: str, data: bytes, **changes) -> requests.Response:
        fields = {"ajax": "upload", "project": project, "session.id": self.session_id} | changes.pop(
            "fields", {}
        )
        file = changes.pop("file", ("flows.zip", data, "application/zip"))
        files = {"file": file} if file else {"other": "x"}
        return self.http.post(
            f"{self.url}/manager", data=fields, files=files, allow_redirects=False, **changes
        )

    def flows(self, project: str) -> set[str]:
        return {
            flow["flowId"] for flow in self.get(ajax="fetchprojectflows", project=project).json()["flows"]
        }


def without_session(url: str, method: str = "GET", path: str = "/manager", **more) -> requests.Response:
    with requests.Session() as http:
        http.trust_env = False
        return http.request(method, url + path, allow_redirects=False, **more)


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def until_lines(path, wanted: int) -> list[dict]:
    """The log once it has so many lines."""
    tick = threading.Event()
    for _ in range(DEADLINE_S * 100):
        found = lines(path)
        if len(found) >= wanted:
            return found
        tick.wait(0.01)
    raise AssertionError(f"only {len(found)} lines")
