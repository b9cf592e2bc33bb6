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


class TooManySessions(Exception):
    """The user has as many as are allowed; `session` is the one that was not kept."""

    def __init__(self, session: Session, allowed: int) -> None:
        super().__init__(
            "Potential DDoS found, the number of sessions for this user and IP "
            f"reached allowed limit ({allowed})."
        )
        self.session = session


class Sessions:
    """All sessions of one server; a restart forgets them."""

    def __init__(self, time_to_live_us: int = TIME_TO_LIVE_US, *, calls: int = 0, per_user: int = 0) -> None:
        """A session ends so long after its last use and after so many calls; 0 sets no limit."""
        self._time_to_live_us = time_to_live_us
        self._calls = calls
        self._per_user = per_user
        self._used: OrderedDict[str, tuple[Session, int, int]] = OrderedDict()

    def open(self, user: str, now_us: int) -> Session:
        """A new session; earlier ones of the same user stay.  Raises TooManySessions."""
        session = Session(str(uuid.uuid4()), user)
        if self._per_user and self._count(user, now_us) >= self._per_user:
            raise TooManySessions(session, self._per_user)
        self._used[session.id] = (session, now_us, 0)
        if len(self._used) > MAX_SESSIONS:
            self._used.popitem(last=False)
        return session

    def find(self, session_id: str | None, now_us: int) -> Session | None:
        """The session of that id, whose life starts anew; None when there is none or it has ended."""
        if session_id is None or session_id not in self._used:
            return None
        session, used_us, calls = self._used.pop(session_id)
        if now_us - used_us >= self._time_to_live_us or (self._calls and calls >= self._calls):
            return None
        self._used[session_id] = (session, now_us, calls + 1)
        return session

    def close(self, session: Session) -> None:
        """Log out."""
        self._used.pop(session.id, None)

    def _count(self, user: str, now_us: int) -> int:
        """The user's sessions that have not ended."""
        return sum(
            session.user == user
            and now_us - used_us < self._time_to_live_us
            and not (self._calls and calls >= self._calls)
            for session, used_us, calls in self._used.values()
        )
