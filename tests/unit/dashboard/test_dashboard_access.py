"""Who may see and steer: the rules, one request at a time."""

from __future__ import annotations

import pytest

from loadgen.cli.dash import access_for, dashboard_address, url
from loadgen.dashboard.access import Access
from loadgen.errors import UsageError

PORT = 8089
TOKEN = "a token of the run, long enough"


def status(access: Access, method: str = "GET", path: str = "/events", **headers: str) -> int:
    """0: it is let in."""
    told = {
        name.replace("_", "-"): [value] for name, value in {"host": f"127.0.0.1:{PORT}", **headers}.items()
    }
    refusal = access.refusal(method, path, {name: values for name, values in told.items() if values != [""]})
    return 0 if refusal is None else refusal.status


@pytest.fixture
def loopback() -> Access:
    return access_for("127.0.0.1", PORT, "")


@pytest.fixture
def open_to_all() -> Access:
    return access_for("0.0.0.0", PORT, TOKEN)


@pytest.mark.parametrize("host", ["127.0.0.1:8089", "localhost:8089", "LOCALHOST:8089", "[::1]:8089"])
def test_names_that_are_ours(loopback: Access, host: str) -> None:
    assert status(loopback, host=host) == 0


@pytest.mark.parametrize(
    "host",
    ["evil.example:8089", "localhost", "localhost:80", "127.0.0.1.evil.example:8089", "10.0.0.1:8089", ""],
)
def test_names_that_are_not(loopback: Access, host: str) -> None:
    assert status(loopback, host=host) == 421


def test_two_names_are_none(loopback: Access) -> None:
    refusal = loopback.refusal("GET", "/", {"host": [f"localhost:{PORT}", "evil.example"]})
    assert refusal is not None
    assert refusal.status == 421


def test_on_all_addresses_an_address_is_a_name(open_to_all: Access) -> None:
    known = {"authorization": f"Bearer {TOKEN}"}
    assert status(open_to_all, host="10.1.2.3:8089", **known) == 0
    assert status(open_to_all, host="[2001:db8::1]:8089", **known) == 0
    assert status(open_to_all, host="rebound.example:8089", **known) == 421


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 403),
        ({"x_loadgen_csrf": "guessed"}, 403),
        ({"x_loadgen_csrf": "OURS"}, 0),
        ({"x_loadgen_csrf": "OURS", "origin": "http://127.0.0.1:8089", "sec_fetch_site": "same-origin"}, 0),
        ({"x_loadgen_csrf": "OURS", "origin": "http://evil.example"}, 403),
        ({"x_loadgen_csrf": "OURS", "origin": "null"}, 403),
        ({"x_loadgen_csrf": "OURS", "origin": "http://127.0.0.1:9999"}, 403),
        ({"x_loadgen_csrf": "OURS", "sec_fetch_site": "cross-site"}, 403),
        ({"x_loadgen_csrf": "OURS", "sec_fetch_site": "same-site"}, 403),
    ],
)
def test_orders_come_from_our_own_page(loopback: Access, headers: dict[str, str], expected: int) -> None:
    said = {name: loopback.csrf if value == "OURS" else value for name, value in headers.items()}
    assert status(loopback, "POST", "/steer", **said) == expected


def test_other_sites_may_link_to_the_page_but_not_read_the_run(loopback: Access) -> None:
    assert status(loopback, path="/", sec_fetch_site="cross-site") == 0
    assert status(loopback, path="/events", sec_fetch_site="cross-site") == 403
    assert status(loopback, "DELETE", "/") == 405


def test_elsewhere_the_token_is_needed(open_to_all: Access) -> None:
    cookie = open_to_all.set_cookie().partition(";")[0]
    assert status(open_to_all, path="/") == 0, "the page asks for it"
    assert status(open_to_all) == 401
    assert status(open_to_all, cookie=cookie) == 0
    assert status(open_to_all, cookie=f"other=1; {cookie}") == 0
    assert status(open_to_all, cookie=f"{open_to_all.cookie}=guessed") == 401
    assert status(open_to_all, cookie=f"{open_to_all.cookie}={TOKEN}") == 401, "the token is not the cookie"
    assert status(open_to_all, authorization=f"Bearer {TOKEN}") == 0
    assert status(open_to_all, authorization="Bearer guessed") == 401
    assert status(open_to_all, authorization="Bearer ") == 401
    assert status(open_to_all, "POST", "/steer", cookie=cookie) == 403, "and no order without the page's own"
    assert TOKEN not in open_to_all.set_cookie()
    assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in open_to_all.set_cookie().split(";")}


def test_addresses() -> None:
    assert dashboard_address("127.0.0.1:8089", off=True) is None
    assert dashboard_address("127.0.0.1:8089", off=False) == ("127.0.0.1", 8089)
    assert dashboard_address(":9000", off=False) == ("127.0.0.1", 9000)
    assert dashboard_address("0.0.0.0", off=False) == ("0.0.0.0", 8089)
    assert dashboard_address("[::1]:0", off=False) == ("::1", 0)


def test_the_line_has_the_token_where_no_server_sees_it(loopback: Access, open_to_all: Access) -> None:
    assert url("127.0.0.1", loopback) == "http://127.0.0.1:8089/"
    assert url("0.0.0.0", open_to_all).endswith(f":8089/#token={TOKEN}")
    assert url("::1", access_for("::1", 1, "")) == "http://[::1]:1/"
    made = access_for("0.0.0.0", PORT, "").token
    assert len(made) >= 32
    assert made != access_for("0.0.0.0", PORT, "").token


def test_a_token_that_can_be_guessed_is_none() -> None:
    with pytest.raises(UsageError, match="16 characters"):
        access_for("0.0.0.0", PORT, "short")
