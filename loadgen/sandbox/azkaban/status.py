"""/status: is it up; no login needed.  As in StatusServlet.java."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.pages import write_json

if TYPE_CHECKING:
    from loadgen.sandbox.azkaban.profile import Profile
    from loadgen.sandbox.messages import Answer


def status(profile: Profile) -> Answer:
    """Everything is fine; the figures about memory are Java's and mean nothing here."""
    return write_json(
        {
            "version": f"{profile.version}.0-sandbox",
            "pid": str(os.getpid()),
            "installationPath": "sandbox",
            "usedMemory": 0,
            "xmx": 0,
            "isDatabaseUp": True,
            "executorStatusMap": {},
        }
    )
