"""The ways a call can fail below HTTP: for each the `requests` exception, and one line for people.

Both transports see the same troubles under different names (libcurl's codes, urllib3's nested
exceptions); here they get one set of words.
"""

from __future__ import annotations

from enum import Enum
from urllib.parse import urlsplit

import requests
from requests import exceptions


class Trouble(Enum):
    """What went wrong: the exception and its words."""

    REFUSED = (exceptions.ConnectionError, "connection refused by {peer}")
    UNRESOLVED = (exceptions.ConnectionError, "cannot resolve host {host}")
    UNREACHABLE = (exceptions.ConnectionError, "cannot connect to {peer}: {why}")
    RESET = (exceptions.ConnectionError, "connection reset by {peer}")
    NO_ANSWER = (exceptions.ConnectionError, "{peer} closed the connection without an answer")
    NOT_HTTP = (exceptions.ConnectionError, "{peer} did not answer in HTTP: {why}")
    OTHER_HTTP = (exceptions.ConnectionError, "{peer} does not speak {why}")
    CONNECT_TIMEOUT = (exceptions.ConnectTimeout, "no connection to {peer} within {why} s")
    READ_TIMEOUT = (exceptions.ReadTimeout, "no complete answer from {peer} within {why} s")
    TLS = (exceptions.SSLError, "TLS with {peer} failed: {why}")
    PROXY = (exceptions.ProxyError, "{why}")
    CUT = (exceptions.ChunkedEncodingError, "{peer} closed the connection in the middle of its answer")
    UNDECODABLE = (
        exceptions.ContentDecodingError,
        "the answer of {peer} is not encoded as its Content-Encoding says: {why}",
    )
    BAD_URL = (exceptions.InvalidURL, "invalid URL {url!r}: {why}")
    OTHER = (exceptions.ConnectionError, "call to {peer} failed: {why}")

    def error(self, url: str, why: object = "") -> requests.RequestException:
        """The exception for a request to `url`."""
        kind: type[requests.RequestException]
        kind, words = self.value
        line = " ".join(words.format(url=url, host=host(url), peer=peer(url), why=why).split())
        return kind(line.removesuffix(":"))


def host(url: str) -> str:
    """The host in `url`."""
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url


def peer(url: str) -> str:
    """HOST:PORT of `url`."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return url
    name = parts.hostname or url
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
