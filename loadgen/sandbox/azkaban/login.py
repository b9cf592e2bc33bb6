"""What stands before every servlet: sessions, logins, what is said to strangers.

As in LoginAbstractAzkabanServlet.java.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from loadgen.sandbox.azkaban.pages import (
    ServletError,
    create_json_response,
    login_page,
    redirect,
    write_json,
    write_plain,
)
from loadgen.sandbox.azkaban.sessions import Session, TooManySessions
from loadgen.sandbox.azkaban.users import LoginFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.clock import Clock
    from loadgen.sandbox.azkaban.sessions import Sessions
    from loadgen.sandbox.azkaban.users import Users
    from loadgen.sandbox.messages import Answer, FilePart, Request

COOKIE = "azkaban.browser.session.id"
PARAMETER = "session.id"


class Servlet(Protocol):
    """What is asked once it is known who asks."""

    async def get(self, request: Request, user: str) -> Answer:
        """Answer a GET."""
        ...

    async def post(self, request: Request, user: str) -> Answer:
        """Answer a POST of a form, or of nothing."""
        ...

    async def multipart(self, request: Request, parts: Mapping[str, str | FilePart], user: str) -> Answer:
        """Answer a POST of a multipart body."""
        ...


class Login:
    """Lets requests through to a servlet, or answers them itself."""

    def __init__(self, users: Users, sessions: Sessions, clock: Clock) -> None:
        self._users = users
        self._sessions = sessions
        self._clock = clock

    async def respond(self, request: Request, servlet: Servlet) -> Answer:
        """Raises ServletError for what Jetty must answer."""
        session = self._session(request)
        if request.method != "POST":
            return await self._get(request, session, servlet)
        if "password=" in request.query:
            return write_plain("Login error. Must pass username and password in request body")
        if request.fault:
            raise ServletError(request.fault)
        if request.parts is not None:
            return await self._multipart(request, request.parts, session, servlet)
        if request.params.get("action") == "login":
            return self._log_in(request.params)
        return await self._post(request, session, servlet)

    async def _get(self, request: Request, session: Session | None, servlet: Servlet) -> Answer:
        if "logout" in request.params:
            if session is not None:
                self._sessions.close(session)
            return redirect(request, "/")
        if session is not None:
            return await servlet.get(request, session.user)
        return write_json({"error": "session"}) if "ajax" in request.params else login_page()

    async def _multipart(
        self, request: Request, parts: Mapping[str, str | FilePart], session: Session | None, servlet: Servlet
    ) -> Answer:
        if session is None:
            session = self._find(parts.get(PARAMETER))
        if session is None:
            if "username" not in parts or "password" not in parts:
                return write_plain("Login error. Need username and password")
            try:
                session = self._once(parts)
            except LoginFailed as error:
                return write_plain(f"Login error: {error}")
        return await servlet.multipart(request, parts, session.user)

    async def _post(self, request: Request, session: Session | None, servlet: Servlet) -> Answer:
        if session is None and "username" in request.params and "password" in request.params:
            try:
                session = self._once(request.params)
            except LoginFailed as error:
                return write_plain(f"Login error: {error}")
        if session is not None:
            return await servlet.post(request, session.user)
        if request.headers.get("x-requested-with") == "XMLHttpRequest":
            return create_json_response(
                {"status": "error", "message": "Invalid Session. Need to re-login", "action": "login"}
            )
        return login_page("Enter username and password")

    def _log_in(self, params: Mapping[str, str]) -> Answer:
        if "username" not in params or "password" not in params:
            return write_json({"error": "Incorrect Login."})
        try:
            user = self._users.check(params["username"], params["password"])
            session = self._sessions.open(user, self._clock.monotonic_us())
            answer = write_json({"status": "success", "session.id": session.id})
        except LoginFailed as error:
            return write_json({"error": f"Incorrect Login. {error}"})
        except TooManySessions as full:  # the cookie is sent all the same
            session, answer = full.session, write_json({"error": str(full)})
        cookie = ("set-cookie", f"{COOKIE}={session.id}; Path=/")
        return replace(answer, headers=(cookie,))

    def _session(self, request: Request) -> Session | None:
        """The cookie's, however stale; the parameter's only where there is no cookie."""
        return self._find(_cookie(request) or request.params.get(PARAMETER))

    def _find(self, session_id: str | FilePart | None) -> Session | None:
        if not isinstance(session_id, str):
            return None
        return self._sessions.find(session_id, self._clock.monotonic_us())

    def _once(self, fields: Mapping[str, str | FilePart]) -> Session:
        """A session for this request only.  Raises LoginFailed."""
        return Session("", self._users.check(str(fields["username"]), str(fields["password"])))


def _cookie(request: Request) -> str:
    for pair in request.headers.get("cookie", "").split(";"):
        name, _, value = pair.partition("=")
        if name.strip() == COOKIE:
            return value.strip().strip('"')
    return ""
