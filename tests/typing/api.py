"""Every form of the scenario API, as a user would type it: `mypy --strict` must accept this file."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, assert_type

import requests

from loadgen import Call, Made, Retry, Scenario, Session, Verification, errors, feed, option
from loadgen.testing import FakeMade


class Colour(enum.Enum):
    """An option's values."""

    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Options:
    """Every supported type."""

    flows: int = option(10, help="How many")
    rate: float = 0.5
    loud: bool = False
    user: str = option("azkaban", env="AZ_USER")
    password: str = option("azkaban", env="AZ_PASSWORD", secret=True)
    colour: Colour = Colour.RED
    size: Literal["s", "m"] = "s"
    folder: Path = Path()
    numbers: list[int] = field(default_factory=list)
    names: tuple[str, ...] = ()
    limit: int | None = None


scenario = Scenario(
    options=Options,
    target="sandbox:azkaban",
    transport="requests",
    timeout=30.0,
    processes=2,
    concurrency=8,
    http="1.1",
    connections="new",
)


@scenario.login
def login(http: Session, options: Options) -> None:
    """Once per session."""
    http.headers["X-Requested-With"] = "XMLHttpRequest"
    http.post("/", data={"username": options.user, "password": options.password}, name="login")


@scenario.setup
def setup(http: Session, options: Options) -> None:
    """Once per run."""
    with http.get("/", timeout=5) as response:
        assert_type(response, requests.Response)


def project_of(item: int, options: Options) -> int:
    """A key."""
    return item % options.flows


@scenario.step(
    items=lambda options: options.flows,
    key=project_of,
    delivery="verify",
    retry=Retry(attempts=3, on=("connect", "timeout", 429), backoff_s=0.1, max_backoff_s=5.0),
)
def create(http: Session, item: int, options: Options) -> dict[str, object]:
    """Scripted, with everything that a step can have."""
    response = http.post("/manager", params={"item": item}, json={"a": 1}, expect=(404, 409), name="create")
    assert_type(response, requests.Response)
    return {"id": response.json()["id"], "colour": options.colour.value}


@create.exists
def created(http: Session, item: int, options: Options) -> bool:
    """Asked when the outcome is unknown."""
    return http.get(f"/manager/{item}", expect=404).ok


@scenario.step(items=feed.csv("users.csv").take(5))
def invite(http: Session, item: dict[str, str], options: Options) -> None:
    """A row of a file."""
    http.put(f"/users/{item['user']}", files={"file": ("a.zip", b"PK", "application/zip")})


@scenario.step(items=[1, 2, 3], delivery="at_least_once")
def delete(http: Session, item: int, options: Options) -> int:
    """A row of the scenario itself."""
    return http.delete(f"/things/{item}").status_code


def good(response: requests.Response) -> str:
    """A described call's check."""
    if not response.ok:
        raise errors.ItemFailed("no")
    return response.text


@scenario.step(items=100)
def ping(item: int, options: Options) -> Call:
    """Described instead of made."""
    return Call("GET", f"/ping/{item}", params={"n": item}, expect=503, timeout=1.0, name="ping", check=good)


@scenario.step(items=100)
def order(item: int, options: Options) -> list[Call]:
    """Several calls, made in order."""
    return [Call("POST", "/orders", json={"item": item}), Call("GET", f"/orders/{item}", check=good)]


@scenario.step(items=100)
def pay(item: int, options: Options) -> Call | Sequence[Call]:
    """One call or several."""
    return ping(item, options) if item % 2 else (ping(item, options), ping(item, options))


def names(options: Options) -> Iterator[str]:
    """What should be there."""
    yield from (f"flow_{number}" for number in range(options.flows))


@scenario.verify
def verify(http: Session, options: Options) -> Verification:
    """Once, after the last step."""
    found: Sequence[str] = http.get("/flows").json()
    return Verification.of(list(names(options)), found)


@scenario.teardown
def teardown(http: Session, options: Options) -> None:
    """Only by `loadgen clean`."""
    http.delete("/everything")


another = Scenario(options=Options)


@another.setup
def set_up(http: Session, options: Options) -> dict[str, list[str]]:
    """Once per run, and it says what it made."""
    return {"projects": [http.post("/projects").text]}


@another.verify
def verify_made(http: Session, options: Options, made: Made) -> Verification:
    """Told what the run made."""
    return Verification.of([str(value) for value in made("create")], list(made.steps))


@another.teardown
def teardown_made(http: Session, options: Options, made: Made) -> None:
    """The same."""
    for index in (*made.unknown("create"), *made.failed("create")):
        assert_type(index, int)
        http.delete(f"/things/{index}", expect=404)
    http.delete(f"/projects/{made.setup['projects']}")


def a_unit_test(http: Session) -> None:
    """A step is called like the function that it decorates, and has its types."""
    assert_type(create(http, 1, Options()), dict[str, object])
    assert_type(delete(http, item=1, options=Options()), int)
    assert_type(ping(1, Options()), Call)
    assert_type(order(1, Options()), list[Call])
    assert_type(created(http, 1, Options()), bool)
    teardown_made(http, Options(), FakeMade({"create": [1, 2]}, setup={"projects": []}))
    assert_type(Verification(expected=1, found=1).ok, bool)
    assert_type(option(5), int)
    assert_type(errors.UsageError("x").exit_code, errors.ExitCode)
