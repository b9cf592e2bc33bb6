"""Who may see and steer a run: what a request must look like.  Pure.

On loopback nobody is asked for a token, but pages of other sites are in the browser as well: they may
give their own name to our address (DNS rebinding), so the name must be one of ours; they may send us
requests (CSRF), so orders must come from our own page, and bear a token that only it can have read.
Elsewhere the run's token is asked for, and kept as a cookie that no script sees.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Final

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
CSRF_HEADER: Final = "x-loadgen-csrf"
SHORTEST_TOKEN: Final = 16
OPEN_PATHS: Final = frozenset({"/", "/login", "/dashboard.css", "/dashboard.js", "/chart.js", "/icon.svg"})
"""What can be had without a token: it tells nothing of the run."""
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""With every answer."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not."""

    status: int
    text: str


def _random() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one server."""

    names: frozenset[str]
    """Hosts that it is served under; any address stands for itself where `addresses` says so."""
    port: int
    addresses: bool = False
    """It listens on all addresses of the machine: a Host that is an address cannot have been rebound."""
    token: str = ""
    """What one must know; empty: nothing."""
    csrf: str = field(default_factory=_random)
    session: str = field(default_factory=_random)
    """What the cookie holds: the token itself never leaves the login."""

    def refusal(self, method: str, path: str, headers: Mapping[str, list[str]]) -> Refusal | None:
        """Why a request is refused; None: it is not.  `headers`: values by lower-case name."""
        host = _only(headers, "host")
        if host is None or not self._serves(host):
            return Refusal(421, "this server does not go by that name")
        if method not in ("GET", "HEAD", "POST"):
            return Refusal(405, "GET or POST")
        site = _only(headers, "sec-fetch-site")
        navigates = path == "/" and method == "GET"
        if not navigates and (site not in (None, "same-origin", "none")):
            return Refusal(403, "asked for by another site")
        origin = _only(headers, "origin")
        if headers.get("origin") and origin not in (f"http://{host}", f"https://{host}"):
            return Refusal(403, "asked for by another site")
        if method == "POST" and not _same(_only(headers, CSRF_HEADER) or "", self.csrf):
            return Refusal(403, "without this page's token: load the page again")
        if path not in OPEN_PATHS and not self.knows(headers):
            return Refusal(401, "the run's token is needed")
        return None

    def knows(self, headers: Mapping[str, list[str]]) -> bool:
        """Whether who asks has shown the token: by the cookie, or as a bearer."""
        if not self.token:
            return True
        kind, _, said = (_only(headers, "authorization") or "").partition(" ")
        if kind.lower() == "bearer" and self.opens(said.strip()):
            return True
        try:
            cookie = SimpleCookie("; ".join(headers.get("cookie", []))).get(self.cookie)
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, self.session)

    def opens(self, token: str) -> bool:
        """Whether this is the token."""
        return _same(token, self.token)

    @property
    def cookie(self) -> str:
        """Its name: cookies do not tell ports apart."""
        return f"loadgen-{self.port}"

    def set_cookie(self) -> str:
        """The header's value."""
        return f"{self.cookie}={self.session}; Path=/; HttpOnly; SameSite=Strict"

    def _serves(self, host: str) -> bool:
        name, port = _split(host.lower())
        if port != str(self.port):
            return False
        return name in self.names or (self.addresses and _is_address(name))


def _split(host: str) -> tuple[str, str]:
    """Name and port of a Host header; 80 is left out in it."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, "80"
    return name.removeprefix("[").removesuffix("]").removesuffix("."), port


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _only(headers: Mapping[str, list[str]], name: str) -> str | None:
    values = headers.get(name, [])
    return values[0] if len(values) == 1 else None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
