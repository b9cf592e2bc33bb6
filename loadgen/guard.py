"""May this run write to that target?  Decided from words alone: no name is resolved, nothing is read.

A target on loopback is free.  Any other must have been allowed: by name in the configuration, or by its
user, once, which is remembered.  A cap says how many items a run may have for a target, wherever it is.
"""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a target is."""

    scheme: str
    host: str
    """In lower case; an IPv6 address without brackets."""
    port: int

    @classmethod
    def of(cls, url: str) -> Place:
        """The place of a target's URL, which must be one of http or https with a host."""
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0))

    def __str__(self) -> str:
        """host:port."""
        return f"{self._bare}:{self.port}"

    @property
    def _bare(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_loopback(self) -> bool:
        """127.0.0.0/8, ::1 or localhost; any other name may mean anything."""
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return self.host == "localhost"
        if isinstance(address, ipaddress.IPv4Address):
            return address in LOOPBACK
        return address == ipaddress.IPv6Address("::1")

    def matches(self, pattern: str) -> bool:
        """Whether a pattern names it: HOST, HOST:PORT, or a URL; `*` and `?` stand for anything.

        Without a port the pattern names all ports of the host, unless it is a URL: then it is the scheme's.
        """
        scheme, slashes, rest = pattern.rpartition("://")
        host = rest.partition("/")[0].lower().replace("[", "[[]")  # brackets are those of IPv6, no choice
        if slashes:
            if scheme.lower() != self.scheme:
                return False
            names = [str(self), *([self._bare] if self.port == PORTS[self.scheme] else [])]
        else:
            names = [str(self), self._bare]
        return any(fnmatch.fnmatchcase(name, host) for name in names)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says of targets."""

    allow: tuple[str, ...] = ()
    """Patterns of targets that may be written to."""
    caps: Mapping[str, int] = field(default_factory=dict)
    """By pattern: the most items that a run may have."""


def is_allowed(place: Place, rules: Rules, remembered: Collection[str]) -> bool:
    """Whether a run may write there without asking.  `remembered`: HOST:PORT of those once allowed."""
    return (
        place.is_loopback
        or str(place) in remembered
        or any(place.matches(pattern) for pattern in rules.allow)
    )


def cap(place: Place, rules: Rules) -> tuple[str, int] | None:
    """The lowest cap that holds for a target, with its pattern; None: there is none."""
    holding = [(pattern, most) for pattern, most in rules.caps.items() if place.matches(pattern)]
    return min(holding, key=lambda found: found[1], default=None)
