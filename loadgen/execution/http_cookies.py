"""Cookies for a session that makes thousands of calls a second.

The jar is requests' own, rules and all; asking it what to send costs 60 us.  As long as it does not
change, the answer for one origin does not either, unless a cookie is bound to a path or expires: then
the jar is asked again (for each call, or after the expiry).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from requests import PreparedRequest
from requests.cookies import RequestsCookieJar, get_cookie_header
from requests.structures import CaseInsensitiveDict

if TYPE_CHECKING:
    from http.cookiejar import Cookie

    from loadgen.clock import Clock

_ORIGINS_KEPT: Final = 256


class WatchedJar(RequestsCookieJar):
    """A cookie jar that says when it changes."""

    version = 0

    def set_cookie(self, cookie: Cookie, *args: Any, **kwargs: Any) -> Any:
        """Put one in."""
        self.version += 1
        return super().set_cookie(cookie, *args, **kwargs)

    def clear(self, domain: str | None = None, path: str | None = None, name: str | None = None) -> None:
        """Take out one, some or all."""
        self.version += 1
        super().clear(domain, path, name)


class CookieHeaders:
    """Remembers the Cookie header for each origin."""

    def __init__(self, jar: WatchedJar, clock: Clock) -> None:
        self.jar = jar
        self._clock = clock
        self._version = jar.version
        self._headers: dict[str, str | None] = {}
        self._empty = True
        self._same_for_all_paths = True
        self._expire = False
        self._valid_until_us = float("inf")
        self._look()

    def header(self, url: str) -> str | None:
        """What to send to `url`, or None."""
        if self.jar.version != self._version or (
            self._expire and self._clock.now_us() >= self._valid_until_us
        ):
            self._look()
        if self._empty:
            return None
        if not self._same_for_all_paths:
            return _ask(self.jar, url)
        origin = url[: url.find("/", 8)]
        try:
            return self._headers[origin]
        except KeyError:
            if len(self._headers) >= _ORIGINS_KEPT:
                self._headers.clear()
            self._headers[origin] = header = _ask(self.jar, url)
            # Asking drops what has expired, which counts as a change.
            self._version = self.jar.version
            return header

    def _look(self) -> None:
        self.jar.clear_expired_cookies()
        cookies: list[Cookie] = list(self.jar)  # type: ignore[arg-type]  # the stubs take it for a mapping
        self._empty = not cookies
        self._same_for_all_paths = all(cookie.path == "/" for cookie in cookies)
        expiries = [cookie.expires for cookie in cookies if cookie.expires is not None]
        self._expire = bool(expiries)
        self._valid_until_us = min(expiries, default=float("inf")) * 1_000_000
        self._headers.clear()
        self._version = self.jar.version


def _ask(jar: WatchedJar, url: str) -> str | None:
    request = PreparedRequest()
    request.url = url
    request.headers = CaseInsensitiveDict()
    header: str | None = get_cookie_header(jar, request)  # type: ignore[no-untyped-call]
    return header
