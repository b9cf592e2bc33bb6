"""requests' methods by name, each with its keyword arguments spelled out for editors and type checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import requests

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class _Common(TypedDict, total=False):
    """What every method takes: requests' own arguments, and two of ours."""

    headers: Mapping[str, str | bytes | None] | None
    cookies: Any
    files: Any
    auth: Any
    timeout: float | tuple[float | None, float | None] | None
    allow_redirects: bool
    proxies: Any
    hooks: Any
    stream: bool | None
    verify: bool | str | None
    cert: str | tuple[str, str] | None
    name: str | None
    expect: int | Collection[int]


class _GetOptions(_Common, total=False):
    data: Any
    json: Any


class _PostOptions(_Common, total=False):
    params: Any


class _PutOptions(_PostOptions, total=False):
    json: Any


class _Options(_PutOptions, total=False):
    data: Any


class Verbs(requests.Session):
    """`get`, `post` and the others.  Unlike in requests, none of them follows redirects unless told to."""

    if TYPE_CHECKING:

        def request(self, *args: Any, **options: Any) -> requests.Response:
            """The session's."""

    def get(self, url: str | bytes, params: Any = None, **options: Unpack[_GetOptions]) -> requests.Response:
        """GET."""
        # With keyword arguments or without are two kinds of call to Python, and the other is the usual one.
        return self.request("GET", url, params, **options) if options else self.request("GET", url, params)

    def options(self, url: str | bytes, **options: Unpack[_Options]) -> requests.Response:
        """OPTIONS."""
        return self.request("OPTIONS", url, **options)

    def head(self, url: str | bytes, **options: Unpack[_Options]) -> requests.Response:
        """HEAD."""
        return self.request("HEAD", url, **options)

    def post(
        self, url: str | bytes, data: Any = None, json: Any = None, **options: Unpack[_PostOptions]
    ) -> requests.Response:
        """POST."""
        return self.request("POST", url, data=data, json=json, **options)

    def put(self, url: str | bytes, data: Any = None, **options: Unpack[_PutOptions]) -> requests.Response:
        """PUT."""
        return self.request("PUT", url, data=data, **options)

    def patch(self, url: str | bytes, data: Any = None, **options: Unpack[_PutOptions]) -> requests.Response:
        """PATCH."""
        return self.request("PATCH", url, data=data, **options)

    def delete(self, url: str | bytes, **options: Unpack[_Options]) -> requests.Response:
        """DELETE."""
        return self.request("DELETE", url, **options)
