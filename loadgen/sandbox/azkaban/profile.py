"""Where versions of Azkaban differ, as named facts; nothing else here asks which version it is.  Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one version says and does."""

    version: str
    unknown_project_status: int = 410
    """Of an upload into a project that there is not."""
    unknown_project: str = "Installation Failed. Project '{} doesn't exist."
    """The same, in words; newer versions lost a quotation mark."""
    checks_extension: bool = True
    """Whether an uploaded file must be called .zip; else only the type of its part counts."""
    bullets: bool = False
    """Whether a validator's complaints are a list in HTML, and not lines."""
    accepted: str = "queued"
    """What an execution that was taken on is: `Execution queued successfully ...`."""
    version_last: bool = True
    """Whether an upload shows its flows before it sets their version: a run in between has the old files."""
    drops_schedules: bool = True
    """Whether an upload removes the schedules of flows that are no longer there; since 3.73."""
    names_unknown: bool = True
    """Whether a question about a project that there is not is answered with an error; else with nothing."""
    polls: bool = True
    """Whether executors fetch what waits.  Else the web server pushes it to them, out of a queue that can
    be full; a setting of Azkaban's, which has both since 3.6x, and here goes by the version."""
    makes_up: bool = True
    """Whether a schedule can be told to make up for what was missed (`backExecuteOnce`)."""


PROFILES = {
    profile.version: profile
    for profile in (
        Profile(
            version="3.57",
            unknown_project_status=400,
            unknown_project="Installation Failed. Project '{}' doesn't exist.",
            checks_extension=False,
            bullets=True,
            accepted="submitted",
            version_last=False,
            drops_schedules=False,
            names_unknown=False,
            polls=False,
            makes_up=False,
        ),
        Profile(version="3.90", version_last=False, polls=False, makes_up=False),
        Profile(version="4.0"),
    )
}
"""By version; they are what `--profile` takes."""
NEWEST = PROFILES["4.0"]
