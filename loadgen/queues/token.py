"""The run's token: where the master is, what its certificate looks like, and the secret between them.

One word of text, so that it can be pasted: `lg1.` and URL-safe base64.  It travels by a file of mode
0600 or by the environment variable LOADGEN_TOKEN, never in a command line, a log, the ledger or a report.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from loadgen.errors import TokenError, UsageError

PREFIX = "lg1."
SECRET_BYTES = 32
VARIABLE = "LOADGEN_TOKEN"


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """What a worker needs to find and to trust a master, and to be trusted by it."""

    address: str
    """host:port, as the master listens; a worker may know it under another host name."""
    fingerprint: bytes
    """SHA-256 of the master's certificate (DER)."""
    secret: bytes
    """Random."""

    def __str__(self) -> str:
        body = msgspec.msgpack.encode((self.address, self.fingerprint, self.secret))
        return PREFIX + base64.urlsafe_b64encode(body).decode().rstrip("=")

    def __repr__(self) -> str:
        return f"Token({self.address})"

    @property
    def key(self) -> bytes:
        """The handshake's key: the secret bound to the certificate, so that a relay cannot stand between."""
        return hmac.digest(self.secret, self.fingerprint, "sha256")

    @classmethod
    def parse(cls, text: str) -> Token:
        """The inverse of `str`.  Raises TokenError, which never shows the token."""
        body = text.strip()
        if not body.startswith(PREFIX):
            raise TokenError(f"not a loadgen token: it should begin with {PREFIX}")
        try:
            raw = base64.urlsafe_b64decode(body[len(PREFIX) :] + "=" * (-len(body[len(PREFIX) :]) % 4))
            address, fingerprint, secret = msgspec.msgpack.decode(raw, type=tuple[str, bytes, bytes])
        except (ValueError, msgspec.MsgspecError) as error:
            raise TokenError("the token is damaged: copy it again, whole") from error
        if len(secret) < SECRET_BYTES or len(fingerprint) != SECRET_BYTES:
            raise TokenError("the token is too short to be safe: make a new one")
        return cls(address, fingerprint, secret)


def split_address(text: str, default_port: int) -> tuple[str, int]:
    """Host and port of `HOST`, `HOST:PORT`, `[IPV6]:PORT` or `:PORT`.  Raises UsageError."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host and not host.endswith("]")):
        host, port = text, str(default_port)
    if not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the highest port
        raise UsageError(f"{text}: expected HOST or HOST:PORT")
    host = host.strip("[]")
    try:
        host.encode("idna")  # as the resolver does later, which raises UnicodeError and no OSError
    except UnicodeError as error:
        raise UsageError(f"{text}: expected HOST or HOST:PORT") from error
    return host, int(port)


def new_secret() -> bytes:
    """A fresh secret."""
    return secrets.token_bytes(SECRET_BYTES)


def state_directory(environ: Mapping[str, str]) -> Path:
    """Where tokens of running masters lie, by the user's platform conventions."""
    if environ.get("LOADGEN_STATE_DIR"):
        return Path(environ["LOADGEN_STATE_DIR"])
    if os.name == "nt":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "loadgen"
    return Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "loadgen"


def token_file(environ: Mapping[str, str], port: int) -> Path:
    """Where the token of a master on this machine lies while it runs."""
    return state_directory(environ) / f"{port}.token"


def write(path: Path, token: Token) -> None:
    """Keep a token in a file that only its owner can read.  Raises TokenError."""
    write_private(path, f"{token}\n".encode())


def read(path: Path) -> Token:
    """Read a token file.  Raises TokenError, also when others could read it."""
    try:
        return Token.parse(read_private(path).decode("ascii"))
    except UnicodeDecodeError as error:
        raise TokenError(f"{path}: not a token file") from error


def write_private(path: Path, data: bytes) -> None:
    """Write a file of mode 0600, whole or not at all.  Raises TokenError."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        draft.replace(path)
    except OSError as error:
        raise TokenError(f"{path}: cannot write it: {error.strerror}") from error


def read_private(path: Path) -> bytes:
    """Read a file that only its owner may read.  Raises TokenError."""
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise TokenError(f"{path}: others can read it; run: chmod 600 {path}")
        return path.read_bytes()
    except OSError as error:
        raise TokenError(f"{path}: cannot read it: {error.strerror}") from error


def find(environ: Mapping[str, str], port: int, file: Path | None = None) -> Token:
    """The token for a master at `port`: from `file`, LOADGEN_TOKEN, or the state directory, in this order.

    Raises TokenError, and FileNotFoundError when no master of this machine has left one.
    """
    if file is not None:
        return read(file)
    if environ.get(VARIABLE):
        return Token.parse(environ[VARIABLE])
    path = token_file(environ, port)
    try:
        return read(path)
    except TokenError:
        if not path.exists():  # asked afterwards: a master may be leaving just now
            raise FileNotFoundError(2, "no token", str(path)) from None
        raise
