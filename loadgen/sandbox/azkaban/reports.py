"""What an upload says of what is wrong with a project.  Pure.  As in ProjectManagerServlet.java.

Validators report errors, which reject the project, and warnings, which do not.  The one that Azkaban
brings along, Directory Flow, knows no warnings; sites add their own validators.  Line Ends stands for such
a one: it mends what it can, which `fix=off` forbids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.flows import JOB, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadgen.sandbox.azkaban.profile import Profile

FLOWS = "Directory Flow"
SITE = "Line Ends"
MAX_REPORT = 4000
MAX_FAILURE = 512


def failure(message: str) -> str:
    """What an exception comes to."""
    if len(message) > MAX_FAILURE:
        message = message[:MAX_FAILURE] + "<br>Too many errors to display.<br>"
    return f"Installation Failed.<br>{message}"


def listed(validator: str, what: str, messages: Sequence[str], profile: Profile) -> str:
    """A validator's `errors` or `warnings`, in HTML; empty when there are none."""
    if not messages:
        return ""
    if profile.bullets:
        body = "<ul>" + "".join(f"<li>{each}</li>" for each in messages) + "</ul>"
    else:
        body = "<br><br>" + "".join(f"{each}<br>" for each in messages)
    return f"Validator {validator} reports {what}:{body}"


def cut(report: str) -> str:
    """What fits into a cookie."""
    return report[:MAX_REPORT]


def line_ends(files: Mapping[str, bytes]) -> list[str]:
    """What the site's validator finds: jobs that were written on Windows."""
    return [f"{path} has Windows line ends." for path in visible(files, JOB) if b"\r\n" in files[path]]
