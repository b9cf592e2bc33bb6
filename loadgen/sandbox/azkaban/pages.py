"""JSON and HTML as Azkaban and its Jetty write them."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from loadgen.sandbox.azkaban.java import integer
from loadgen.sandbox.messages import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgen.sandbox.messages import Request

HTML = "text/html;charset=UTF-8"


class ServletError(Exception):
    """What Azkaban leaves to Jetty: a page with status 500."""


def needed(request: Request, name: str) -> str:
    """A parameter that must be there.  Raises ServletError."""
    try:
        return request.params[name]
    except KeyError:
        raise ServletError(f"Missing required parameter '{name}'.") from None


def needed_integer(request: Request, name: str, bits: int = 32) -> int:
    """A parameter that must be there and a whole number of so many bits.  Raises ServletError."""
    try:
        return integer(needed(request, name), bits)
    except ValueError as error:
        raise ServletError(str(error)) from error


def write_json(value: object, status: int = 200, *, flows: int | None = None) -> Answer:
    """Azkaban's `writeJSON`: pretty-printed, with a Content-Type."""
    return Answer(status, pretty(value).encode(), "application/json", flows=flows)


def write_plain(text: str) -> Answer:
    """What goes straight through the writer: status 200, no Content-Type."""
    return Answer(200, text.encode())


def create_json_response(value: dict[str, str]) -> Answer:
    """Azkaban's `createJsonResponse`: compact, and through the writer."""
    return write_plain(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def pretty(value: Any, margin: str = "\n") -> str:
    """JSON as Jackson 1 prints it prettily: `"key" : value`, arrays on one line."""
    if isinstance(value, dict):
        inner = margin + "  "
        members = ",".join(
            f"{inner}{json.dumps(key, ensure_ascii=False)} : {pretty(each, inner)}"
            for key, each in value.items()
        )
        return f"{{{members}{margin}}}" if members else "{ }"
    if isinstance(value, (list, tuple)):
        return f"[ {', '.join(pretty(each, margin) for each in value)} ]" if value else "[ ]"
    return json.dumps(value, ensure_ascii=False)


def message_cookie(kind: str, message: str) -> tuple[str, str]:
    """`azkaban.success.message` and its like, quoted as Jetty quotes what is no token."""
    quoted = message.replace("\\", "\\\\").replace('"', '\\"')
    return ("set-cookie", f'azkaban.{kind}.message="{quoted}"; Path=/'.encode().decode("latin-1"))


def redirect(request: Request, path: str, *cookies: tuple[str, str]) -> Answer:
    """302 to a path of this server, made absolute as Jetty does."""
    host = request.headers.get("host", "localhost")
    return Answer(302, headers=(("location", f"http://{host}{path}"), *cookies))


def page(title: str, *texts: str) -> Answer:
    """Any page that a person would see."""
    body = "\n".join(f"<p>{escape(text)}</p>" for text in texts)
    return Answer(200, _PAGE.format(title=escape(title), body=body).encode(), HTML)


def table(title: str, head: Iterable[str], rows: Iterable[Iterable[str]]) -> Answer:
    """A page with a table."""
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    body = "<table>\n" + "\n".join(lines) + "\n</table>"
    return Answer(200, _PAGE.format(title=escape(title), body=body).encode(), HTML)


def _row(cell: str, texts: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{cell}>{escape(text)}</{cell}>' for text in texts)}</tr>"


def login_page(message: str = "") -> Answer:
    """The form that stands in for every answer while nobody is logged in."""
    return Answer(
        200, _PAGE.format(title="Azkaban Web Client", body=_LOGIN.format(escape(message))).encode(), HTML
    )


def jetty_error(status: int, message: str, path: str) -> Answer:
    """Jetty's own error page."""
    body = _JETTY.format(status=status, message=escape(message, quote=False), path=escape(path, quote=False))
    return Answer(status, body.encode("latin-1", "replace"), "text/html;charset=ISO-8859-1")


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<title>{title}</title>
</head>
<body>
{body}
</body>
</html>
"""

_LOGIN = """<div class="container">
<div class="alert alert-error">{}</div>
<div class="login">
<form id="login-form">
<legend>Login</legend>
<input type="text" id="username" name="username" placeholder="Username">
<input type="password" id="password" name="password" placeholder="Password">
<button type="button" id="login-submit">Log in</button>
</form>
</div><!-- /.login -->
</div>"""

_JETTY = """<html>
<head>
<meta http-equiv="Content-Type" content="text/html; charset=ISO-8859-1"/>
<title>Error {status} {message}</title>
</head>
<body><h2>HTTP ERROR: {status}</h2><pre>{message}</pre>
<p>RequestURI={path}</p><p><i><small><a href="http://jetty.mortbay.org/">Powered by Jetty://</a></small></i></p>
</body>
</html>
"""
