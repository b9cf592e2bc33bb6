"""What this server is like: everything about it that was set, as the servlets need it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban.profile import NEWEST, PROFILES, Profile
from loadgen.sandbox.azkaban.users import User, Users
from loadgen.sandbox.faults import Faults

if TYPE_CHECKING:
    from loadgen.sandbox.options import SandboxOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One server; see `SandboxOptions` for what the fields mean."""

    users: Users
    profile: Profile = NEWEST
    faults: Faults = field(default_factory=Faults)
    lockdown: str = ""
    upload_user: str = ""
    validator: bool = False
    base_cost_s: float = 0.0
    cost_per_flow_s: float = 0.0
    front_base_cost_s: float = 0.0
    front_cost_per_job_s: float = 0.0

    def locks_out(self, what: str, user: str) -> bool:
        """Whether this user may not `create` or `upload`, since only administrators may."""
        return self.lockdown == what and not self.users.is_admin(user)


def site_of(options: SandboxOptions) -> Site:
    """The server that was asked for."""
    return Site(
        users=Users(
            User(options.user, options.password, admin=True), User(options.guest, password=options.guest)
        ),
        profile=PROFILES[options.profile],
        faults=Faults(options.fail_rate, options.drop_rate, options.seed),
        lockdown=options.lockdown,
        upload_user=options.upload_user,
        validator=options.site_validator,
        base_cost_s=options.base_cost_ms / 1000,
        cost_per_flow_s=options.cost_per_flow_ms / 1000,
        front_base_cost_s=options.front_base_cost_ms / 1000,
        front_cost_per_job_s=options.front_cost_per_job_ms / 1000,
    )
