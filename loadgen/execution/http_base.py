"""requests' session with its knobs watched, so that what they decide is worked out when they are turned.

Where a call goes (its whole URL, quoted; the proxy, authorities and client certificate for its origin)
takes requests 200 us to find out, for each call anew.  Here it is a `Place`, found once for each URL, and
again when an attribute of the session that matters for it has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from requests.adapters import BaseAdapter

from loadgen.clock import Clock
from loadgen.execution.http_cookies import CookieHeaders, WatchedJar
from loadgen.execution.http_headers import Letterhead, WatchedHeaders
from loadgen.execution.http_prepare import check_scheme, join, prepare_url, proxy_for, text
from loadgen.execution.http_verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.cookiejar import CookieJar

    import requests

_PLACES_KEPT: Final = 4096
_ROUTES_KEPT: Final = 256


class Route(msgspec.Struct, frozen=True):
    """How an origin is reached."""

    proxy: str
    """URL of the proxy; empty for none."""
    verify: bool | str
    """As in Outgoing."""
    cert: Any
    """As in Outgoing."""


class Place(msgspec.Struct, frozen=True):
    """Where an URL that a caller gave leads."""

    url: str
    """Absolute, quoted."""
    route: Route
    """How to get there."""
    plain: bool
    """Whether it names no user."""


class Base(Verbs):
    """What sessions have that is not about calls.  `base_url` is what relative URLs are joined to."""

    def __init__(self, base_url: str, clock: Clock, adapter: BaseAdapter) -> None:
        self._clock = clock
        self._adapter = adapter
        self._letterhead = Letterhead()
        self._mounted = False
        self._places: dict[str | bytes, Place] = {}
        self._routes: dict[str, Route] = {}
        self._settings: tuple[object, ...] = ()
        super().__init__()
        self._mounted = True  # requests' constructor mounts, too
        self.base_url = base_url.rstrip("/")

    @property
    def headers(self) -> WatchedHeaders:
        """Sent with every request."""
        return self._letterhead.session

    @headers.setter
    def headers(self, headers: Mapping[str, str | bytes | None]) -> None:
        self._letterhead.replace(headers)

    @property
    def cookies(self) -> WatchedJar:
        """The session's cookies: those that the target set, and those put in by hand."""
        return self._cookie_headers.jar

    @cookies.setter
    def cookies(self, cookies: CookieJar | Mapping[str, str]) -> None:
        jar = WatchedJar()
        jar.update(cookies)
        self._cookie_headers = CookieHeaders(jar, self._clock)

    def get_adapter(self, url: str) -> BaseAdapter:
        """The one transport there is.  Raises InvalidSchema for anything but http and https."""
        check_scheme(url)
        return self._adapter

    def mount(self, prefix: str | bytes, adapter: BaseAdapter) -> None:  # noqa: ARG002  (requests' signature)
        """Refused: the usual call would go past it."""
        if self._mounted:
            raise TypeError("a loadgen Session has one transport; no adapter can be mounted")

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Take the credentials off when a redirect leaves the host; as requests, without netrc."""
        headers = prepared_request.headers
        stray = self.should_strip_auth(response.request.url, prepared_request.url)  # type: ignore[no-untyped-call]
        if stray:
            headers.pop("Authorization", None)

    def _place(self, url: str | bytes) -> Place:
        """Where `url` leads now.  Raises requests' MissingSchema, InvalidSchema, InvalidURL."""
        settings = (self.base_url, self.verify, self.cert, self.trust_env)
        if settings != self._settings:
            self._places.clear()
            self._routes.clear()
            self._settings = settings
        place = self._places.get(url)
        if place is None:
            whole = prepare_url(join(self.base_url, text(url)), None)
            place = Place(whole, self._route(whole), "@" not in whole)
            if len(self._places) >= _PLACES_KEPT:
                self._places.clear()
            self._places[url] = place
        return place

    def _route(self, url: str) -> Route:
        origin = url[: url.find("/", 8)]
        route = self._routes.get(origin)
        if route is None:
            found = self.merge_environment_settings(url, {}, None, None, None)
            trusted = True if found["verify"] is None else found["verify"]
            route = Route(proxy_for(url, found["proxies"]), trusted, found["cert"])
            if len(self._routes) >= _ROUTES_KEPT:
                self._routes.clear()
            self._routes[origin] = route
        return route
