"""Requests and answers, word for word, for people who check a scenario; what is secret is masked.

Masked are the values that are known to be secret, whatever the headers and fields hold that are usually
called so (Authorization, cookies, `password=`, `"session.id":`), and the same values wherever they are met
again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, unquote_plus, urlsplit

from loadgen.errors import one_line
from loadgen.execution.http_messages import Outgoing, Received, Transport
from loadgen.options import MASK

_NAMES = r"passw|passphrase|pwd|secret|token|key|credential|session|[cx]srf|auth(?!or\b)|signature"
"""Rather too much than too little: `monkey` is hidden, too."""
_HEADER = re.compile(_NAMES, re.IGNORECASE)
_COOKIES = ("cookie", "set-cookie")
_SCHEMES = ("basic", "bearer", "digest", "negotiate")
_FIELDS = (
    re.compile(rf"((?:^|[?&\s])[^=&?\s\"]*(?:{_NAMES})[^=&?\s\"]*=)([^&\s]+)", re.IGNORECASE),
    re.compile(
        rf'("[^"]*(?:{_NAMES})[^"]*"\s*:\s*)("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\[[^\]]*\]|\{{[^}}]*\}})',
        re.IGNORECASE,
    ),
    re.compile(
        rf'(name="[^"]*(?:{_NAMES})[^"]*"[^\n]*\n(?:[^\r\n]+\r?\n)*\r?\n)(.*?)(?=\r?\n--)',
        re.IGNORECASE | re.DOTALL,
    ),
    re.compile(rf"(<[^<>/\s]*(?:{_NAMES})[^<>]*>)([^<]+)", re.IGNORECASE),
    re.compile(rf"(<[^<>]*(?:{_NAMES})[^<>]*\bvalue=[\"'])([^\"'<>]+)", re.IGNORECASE),
    re.compile(rf"(^[\w.-]*(?:{_NAMES})[\w.-]*:[ \t]+)(\S+)", re.IGNORECASE | re.MULTILINE),
)
"""A form or a query; JSON; a part of a multipart body; XML; a field of an HTML form; `password: x`."""
_USER = re.compile(r"(//)[^/?#@\s]+(?=@)")
"""User and password in a URL."""
_LEAST_LEARNT = 6
"""Characters; a shorter value may be an ordinary word elsewhere."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what came back."""

    sent: Outgoing
    received: Received


class Recorder:
    """A transport that notes what another one carries."""

    def __init__(self, transport: Transport) -> None:
        self.accept_encoding = transport.accept_encoding
        self.exchanges: list[Exchange] = []
        self._transport = transport

    def send(self, request: Outgoing) -> Received:
        """Send it once, as the other does."""
        received = self._transport.send(request)
        self.exchanges.append(Exchange(request, received))
        return received

    def close(self) -> None:
        """Close the other's connections."""
        self._transport.close()


class Mask:
    """Knows what is secret, and learns more from each text."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        self._secrets = {form for secret in secrets if secret for form in _forms(secret)}

    def text(self, text: str) -> str:
        """The text without secrets."""
        text = _USER.sub(rf"\1{MASK}", text)
        for pattern in _FIELDS:
            text = pattern.sub(self._hide, text)
        return self._known(text)

    def header(self, name: str, value: str) -> str:
        """A header's value without secrets."""
        if name.lower() in _COOKIES:
            return "; ".join(self._cookie(name, *part) for part in enumerate(value.split(";")))
        if not _HEADER.search(name):
            return self.text(value)
        scheme, _, rest = value.partition(" ")
        self._learn(rest or value)
        return f"{scheme} {MASK}" if scheme.lower() in _SCHEMES else MASK

    def _cookie(self, header: str, place: int, part: str) -> str:
        """Of Set-Cookie only the first part is the cookie, the others say for whom and how long."""
        name, equals, value = part.strip().partition("=")
        if not equals or (header.lower() == "set-cookie" and place):
            return part.strip()
        self._learn(value)
        return f"{name}={MASK}"

    def _hide(self, found: re.Match[str]) -> str:
        value = found[2]
        if value.startswith('"'):
            self._learn(str(json.loads(value, strict=False)) if _is_json(value) else value[1:-1])
            return f'{found[1]}"{MASK}"'
        self._learn(value)
        self._learn(unquote_plus(value))
        in_json = found[1].startswith('"') and found[1].rstrip().endswith(":")
        return f'{found[1]}"{MASK}"' if in_json else f"{found[1]}{MASK}"

    def _learn(self, value: str) -> None:
        if len(value) >= _LEAST_LEARNT and value != MASK:
            self._secrets.update(_forms(value))

    def _known(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text


def told(exchange: Exchange, mask: Mask) -> Iterator[str]:
    """The lines that an exchange is shown in: `>` went out, `<` came back."""
    sent, received = exchange.sent, exchange.received
    yield f"{sent.method} {mask.text(sent.url)}"
    for name, value in _headers(sent):
        yield f"> {name}: {mask.header(name, value)}"
    yield from _body(sent.body, ">", mask)
    if received.error is not None:
        yield f"< no answer: {mask.text(one_line(received.error) or type(received.error).__name__)}"
        return
    status, *lines = received.head.decode("latin-1").split("\n")
    yield f"< {status.strip()} ({received.total_us / 1000:.1f} ms)"
    for line in lines:
        name, colon, value = line.strip().partition(":")
        if colon:
            yield f"< {name}: {mask.header(name, value.strip())}"
    yield from _body(received.body, "<", mask)


def _headers(sent: Outgoing) -> Iterator[tuple[str, str]]:
    yield "Host", urlsplit(sent.url).netloc.rpartition("@")[2]
    for name, value in (*sent.headers, *sent.item_headers):
        yield name, value.decode("latin-1") if isinstance(value, bytes) else value
    if sent.length is not None:
        yield "Content-Length", str(sent.length)


def _body(body: object, mark: str, mask: Mask) -> Iterator[str]:
    if not body:
        return
    yield mark
    if not isinstance(body, bytes):
        yield f"{mark} (a stream)"
        return
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    if sum(not char.isprintable() and not char.isspace() for char in text):
        head, _, _ = mask.text(text).partition("\0")
        kept = [line for line in head.splitlines() if line.isprintable()]
        yield from (f"{mark} {line}" for line in [*kept, f"({len(body):,} bytes, not all of them text)"])
        return
    for line in mask.text(text).splitlines():
        yield f"{mark} {line}"


def _forms(secret: str) -> set[str]:
    """How a value may be spelled in a URL, a form, JSON, or a header."""
    told = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    return {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), *told}


def _is_json(text: str) -> bool:
    try:
        json.loads(text, strict=False)
    except ValueError:
        return False
    return True
