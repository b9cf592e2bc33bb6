"""The dashboard's pages and orders, as a Starlette application.

Who may is decided in one place, before any page is looked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from loadgen.control import Answer
from loadgen.control import Request as Order
from loadgen.dashboard.access import HEADERS, Access
from loadgen.dashboard.hub import IDLE
from loadgen.errors import UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from loadgen.dashboard.parts import Parts

LONGEST_BODY: Final = 4096
SLOW_S: Final = 10.0
"""How long a watcher may take for what was sent."""
KINDS: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


def site(parts: Parts) -> ASGIApp:
    """The application."""
    pages = [("/", "page.html"), *((f"/{name}", name) for name in _ASSETS)]
    routes = [
        *(Route(path, _Page(parts.access, name)) for path, name in pages),
        Route("/events", _Events(parts)),
        Route("/login", _login(parts.access), methods=["POST"]),
        Route("/steer", _steer(parts), methods=["POST"]),
    ]
    if parts.metrics is not None:
        routes.append(Route("/metrics", _metrics(parts.metrics)))
    return _Guard(parts.access, Starlette(routes=routes))


_ASSETS: Final = ("dashboard.css", "dashboard.js", "chart.js", "icon.svg")


class _Guard:
    """Refuses, and puts the headers that every answer has."""

    def __init__(self, access: Access, inner: ASGIApp) -> None:
        self._access = access
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._access.refusal(scope["method"], scope["path"], headers_of(scope))

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    *((name.encode(), value.encode()) for name, value in HEADERS.items()),
                ]
            await send(message)

        if refusal is None:
            await self._inner(scope, receive, answer)
        else:
            await _said(refusal.status, refusal.text)(scope, receive, answer)


def headers_of(scope: Scope) -> dict[str, list[str]]:
    """Values by lower-case name."""
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return headers


class _Page:
    """A file of ours, read when it is asked for."""

    def __init__(self, access: Access, name: str) -> None:
        self._access = access
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = files(__package__).joinpath("static", self._name).read_text(encoding="utf-8")
        kind = KINDS[self._name.rpartition(".")[2]]
        if kind == "text/html":
            known = "yes" if self._access.knows(headers_of(scope)) else "no"
            text = text.replace("{{csrf}}", self._access.csrf).replace("{{known}}", known)
        await Response(text, media_type=kind)(scope, receive, send)


class _Events:
    """The stream: all there is, then a message a second; `?idle`: now and then."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seat = self._parts.hub.join(IDLE if scope["query_string"] == b"idle" else 1)
        if seat is None:
            await _said(503, "too many are watching")(scope, receive, send)
            return
        gone = asyncio.ensure_future(_gone(receive))
        gone.add_done_callback(lambda _: seat.end())
        try:
            head = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            message = self._parts.board.whole()
            while message and not gone.done():
                await _put(send, message)
                message = await seat.take()
            await _put(send, b"")
        except TimeoutError:
            scope["state"]["abort"]()
        finally:
            self._parts.hub.leave(seat)
            gone.cancel()


async def _put(send: Send, data: bytes) -> None:
    """Send a part, or the end.  Raises TimeoutError when nobody takes it."""
    async with asyncio.timeout(SLOW_S):
        await send({"type": "http.response.body", "body": data, "more_body": bool(data)})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _login(access: Access) -> Callable[[Request], object]:
    async def login(request: Request) -> Response:
        """Ask for the token, and leave a cookie."""
        token = await _body(request)
        if not access.opens(token.decode("utf-8", "replace").strip()):
            await asyncio.sleep(0.5)  # whoever guesses, guesses slowly
            return _said(403, "that is not the run's token")
        return Response(status_code=204, headers={"set-cookie": access.set_cookie()})

    return login


def _steer(parts: Parts) -> Callable[[Request], object]:
    async def steer(request: Request) -> Response:
        """Tell the run something."""
        try:
            order: Order = msgspec.json.decode(await _body(request), type=Order)
            answer = await asyncio.to_thread(parts.steer, order)
        except (UsageError, msgspec.MsgspecError) as error:
            return _json(400, Answer(error=str(error)))
        return _json(200, answer)

    return steer


def _metrics(text: Callable[[], str]) -> Callable[[Request], object]:
    async def metrics(_: Request) -> Response:
        """For Prometheus."""
        return Response(await asyncio.to_thread(text), headers={"content-type": PROMETHEUS})

    return metrics


async def _body(request: Request) -> bytes:
    """No more than an order or a token needs."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_BODY:
            raise UsageError("too long")
    return body


def _json(status: int, answer: Answer) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")


def _said(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status)
