"""Who is logged in.  Pure: the time is handed in.  As in SessionCache.java."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from dataclasses import dataclass

TIME_TO_LIVE_US = 10 * 3600 * 1_000_000
"""A session ends ten hours after it was last used."""
MAX_SESSIONS = 10_000
"""One more, and the one that was used longest ago ends."""


@dataclass(frozen=True, slots=True)
class Session:
    """One login."""

    id: str
    user: str


class Sessions:
    """All sessions of one server; a restart forgets them."""

    def __init__(self) -> None:
        self._used: OrderedDict[str, tuple[Session, int]] = OrderedDict()

    def open(self, user: str, now_us: int) -> Session:
        """A new session; earlier ones of the same user stay."""
        session = Session(str(uuid.uuid4()), user)
        self._used[session.id] = (session, now_us)
        if len(self._used) > MAX_SESSIONS:
            self._used.popitem(last=False)
        return session

    def find(self, session_id: str | None, now_us: int) -> Session | None:
        """The session of that id, whose life starts anew; None when there is none or it has ended."""
        if session_id is None or session_id not in self._used:
            return None
        session, used_us = self._used.pop(session_id)
        if now_us - used_us >= TIME_TO_LIVE_US:
            return None
        self._used[session_id] = (session, now_us)
        return session

    def close(self, session: Session) -> None:
        """Log out."""
        self._used.pop(session.id, None)
