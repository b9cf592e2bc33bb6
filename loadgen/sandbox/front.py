"""The ASGI face of a stand-in target: read all, let the target respond, wait, log, answer.

Plain ASGI on purpose: there are a few paths to route, and a framework's form parser alone would take
several times as long as all that happens here to a small upload.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from loadgen.sandbox.accesslog import describe, iso
from loadgen.sandbox.messages import request_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from loadgen.clock import Clock
    from loadgen.sandbox.accesslog import AccessLog
    from loadgen.sandbox.messages import Answer, Request

    Receive = Callable[[], Awaitable[Mapping[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]


class Target(Protocol):
    """What stands behind the front."""

    async def respond(self, request: Request) -> Answer:
        """Do what the request asks."""
        ...


class Front:
    """An ASGI application."""

    def __init__(self, target: Target, log: AccessLog, *, latency_ms: float, clock: Clock) -> None:
        self._target = target
        self._log = log
        self._latency_s = latency_ms / 1000
        self._clock = clock
        self._asked_us = clock.monotonic_us()

    @property
    def idle_s(self) -> float:
        """How long nothing was asked."""
        return (self._clock.monotonic_us() - self._asked_us) / 1_000_000

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request.  Its line is written before its answer leaves, and also when none does."""
        line: dict[str, object] = {"time": iso(self._clock.now_us())}
        started_us = self._asked_us = self._clock.monotonic_us()
        answer: Answer | None = None
        status = None
        try:
            body = await _whole(receive)
            request = request_of(scope, body or b"")
            line |= describe(request)
            if body is None:
                return
            answer = await self._target.respond(request)
            if self._latency_s:
                await asyncio.sleep(self._latency_s)
            status = None if answer.dropped else answer.status
        except Exception:
            status = 500
            raise
        finally:
            line["status"] = status
            line["duration_ms"] = (self._clock.monotonic_us() - started_us) / 1000
            line["flows"] = None if answer is None else answer.flows
            self._log.write(line)
        if answer.dropped:
            await _drop(scope, receive)
        else:
            await _send(answer, send)


async def _whole(receive: Receive) -> bytes | None:
    """The request's body; None when the client went away before all of it had come."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return bytes(message.get("body", b""))
    chunks = []
    while message["type"] == "http.request":
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)
        message = await receive()
    return None


async def _drop(scope: Mapping[str, Any], receive: Receive) -> None:
    """Reset the connection, and wait until the server knows: it would answer 500 in our place."""
    scope["state"]["reset"]()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(answer: Answer, send: Send) -> None:
    headers = [(b"content-length", str(len(answer.body)).encode())]
    if answer.content_type is not None:
        headers.append((b"content-type", answer.content_type.encode()))
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
