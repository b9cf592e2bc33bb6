"""Who there is, and what they may do.  Pure.  As in XmlUserManager.java, with two users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadgen.sandbox.azkaban.projects import Project


class LoginFailed(Exception):
    """The user manager does not know them; says so in its own words."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in."""

    name: str
    password: str
    admin: bool = False
    """Administrators may do everything, whatever is locked down for others."""


class Users:
    """Everybody who may log in."""

    def __init__(self, *users: User) -> None:
        self._users = {user.name: user for user in users}

    def check(self, name: str, password: str) -> str:
        """The name of the user who these belong to.  Raises LoginFailed."""
        if not name.strip():
            raise LoginFailed("Username is empty.")
        if not password.strip():
            raise LoginFailed("Password is empty.")
        user = self._users.get(name)
        if user is None or user.password != password:
            raise LoginFailed("Username/Password not found.")
        return user.name

    def is_admin(self, name: str) -> bool:
        """Whether they have the role."""
        return self._users[name].admin

    def may(self, name: str, project: Project) -> bool:
        """Whether they may read, write, run and delete it: their own projects, or any as administrators."""
        return project.owner == name or self.is_admin(name)
