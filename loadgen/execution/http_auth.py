"""Who we are: what the session has to know of requests' kinds of auth, and the one that requests lacks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth
from requests.utils import get_auth_from_url

if TYPE_CHECKING:
    from loadgen.execution.http_messages import Received

_UNAUTHORIZED = 401


class Bearer(AuthBase):
    """`auth=Bearer(token)`, here and in plain requests alike."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bearer) and other.token == self.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __repr__(self) -> str:
        return "Bearer(...)"  # tokens do not belong into logs

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Put the token into the Authorization header."""
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


HEADER_AUTH = (tuple, HTTPBasicAuth, Bearer)
"""Kinds of auth that set the Authorization header and nothing else."""


def authorization(auth: Any) -> str | bytes:
    """What one of HEADER_AUTH puts into the header."""
    if type(auth) is Bearer:
        return f"Bearer {auth.token}"
    request: Any = SimpleNamespace(headers={})
    handler = HTTPBasicAuth(*auth) if isinstance(auth, tuple) else auth
    header: str | bytes = handler(request).headers["Authorization"]
    return header


def auth_in(url: str) -> Any:
    """The credentials in the URL; else an auth that does nothing, for None would send requests to netrc."""
    user_and_password = get_auth_from_url(url)
    return user_and_password if any(user_and_password) else no_auth


def no_auth(request: PreparedRequest) -> PreparedRequest:
    """Nobody in particular."""
    return request


def awaits_challenge(request: PreparedRequest) -> bool:
    """Whether requests' digest auth is going to answer a 401 to this request."""
    hooks = request.hooks.get("response", ())
    waiting = any(isinstance(getattr(hook, "__self__", None), HTTPDigestAuth) for hook in hooks)
    return waiting and "Authorization" not in request.headers


def is_challenge(received: Received) -> bool:
    """A 401 that asks for a digest: no failure yet."""
    return received.status == _UNAUTHORIZED and b"\nwww-authenticate: digest" in received.head.lower()
