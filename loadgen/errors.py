"""Every way to fail, one exit code each.

LoadgenError                 1  an internal error, or one that nobody foresaw
├── UsageError               2  the command line, the configuration or the scenario must change
│   ├── OptionError             a --set that does not fit the scenario's options
│   ├── ScenarioError           a mistake in a scenario file, with file and line
│   ├── FeedError               rows that cannot be read, or too few of them
│   ├── ThresholdError          a threshold that cannot be read, or of a step that the run does not have
│   ├── WarmUpError             a warm-up that cannot be read
│   ├── RunNotFound             no run of that name
│   ├── RunDirectoryError       the run directory cannot be made, written or locked
│   ├── AddressInUse            the port is taken
│   ├── TokenError              no token, or one that does not fit
│   ├── TargetNotAllowed        nobody said that this target may be written to, or not so much
│   └── Refused                 the master does not want this worker (version, scenario)
├── Incomplete               4  the run stopped early; what was done is kept, the rest can be resumed
│   ├── TargetDown              nothing answers at the target
│   ├── SetupFailed             login or setup did not succeed
│   ├── Stopped                 somebody stopped it, and may not want to wait for what is in flight
│   ├── MasterGone              the master cannot be reached (any more)
│   ├── WorkersGone             no worker is left and none could be started
│   ├── ItemStopped          3  --fail-fast: an item failed
│   ├── ThresholdCrossed    99  a threshold with `abort` was crossed
│   └── LedgerFailed            the ledger could not be written
├── ItemFailed                  one item did not succeed; counted, never fatal
└── RemoteError              1  the other side of the queue failed in a way it did not expect

Errors that cross the queue keep plain positional arguments, so that they can be rebuilt by name
on the other side; `CROSSING` is the list of those that may.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller."""

    OK = 0
    """All items done, verification and gates held."""
    INTERNAL = 1
    """A bug in loadgen; or --strict was said, and the generator was too slow for its times to be true."""
    USAGE = 2
    """The command line, the configuration or the scenario is wrong."""
    ITEMS = 3
    """Items failed, or their outcome is unknown."""
    INCOMPLETE = 4
    """The run stopped early and can be resumed."""
    VERIFICATION = 5
    """The target does not hold what the run should have made."""
    THRESHOLD = 99
    """A threshold was crossed."""
    SIGINT = 130
    """Left at once on a second Ctrl-C."""
    SIGTERM = 143
    """Left at once on a second SIGTERM."""


class LoadgenError(Exception):
    """Root of all errors: one line for people, one exit code for machines."""

    exit_code = ExitCode.INTERNAL

    def __str__(self) -> str:
        return " ".join(str(arg) for arg in self.args)


class UsageError(LoadgenError):
    """Something that the user wrote must change before this can work."""

    exit_code = ExitCode.USAGE


class OptionError(UsageError):
    """A `--set NAME=VALUE` that does not fit the scenario's options."""


class ScenarioError(UsageError):
    """A mistake in a scenario file; the message starts with `file:line:`."""


class FeedError(UsageError):
    """Rows that cannot be read, or fewer of them than were asked for."""


class ThresholdError(UsageError):
    """A threshold that cannot be read: the message shows it, with a caret below what is wrong."""


class WarmUpError(UsageError):
    """A warm-up that cannot be read: the message shows it, with a caret below what is wrong."""


class RunNotFound(UsageError):
    """No run of that name."""


class RunDirectoryError(UsageError):
    """The run directory cannot be made, written or locked."""


class AddressInUse(UsageError):
    """The address to listen on is taken."""


class TokenError(UsageError):
    """There is no token, it cannot be read, or the master does not accept it."""


class TargetNotAllowed(UsageError):
    """The target is not on loopback and was never allowed, or the plan is over its cap."""


class Refused(UsageError):
    """The master refused this worker: another version, another scenario."""


class Incomplete(LoadgenError):
    """The run stopped early; what was done is kept, the rest can be resumed."""

    exit_code = ExitCode.INCOMPLETE


class Stopped(Incomplete):
    """Somebody stopped the run: a signal, a key, or `loadgen stop`.  A signal after that leaves at once."""


class TargetDown(Incomplete):
    """Nothing answers at the target."""


class SetupFailed(Incomplete):
    """Login or setup did not succeed, so no item was started."""


class MasterGone(Incomplete):
    """The master cannot be reached, or not any more."""


class WorkersGone(Incomplete):
    """No worker is left, and none could be started."""


class ItemStopped(Incomplete):
    """An item failed, and --fail-fast was said."""

    exit_code = ExitCode.ITEMS


class ThresholdCrossed(Incomplete):
    """A threshold was crossed whose action is to abort."""

    exit_code = ExitCode.THRESHOLD


class LedgerFailed(Incomplete):
    """The ledger could not be written; nothing that was acknowledged is lost."""


class ItemFailed(LoadgenError):
    """One item did not succeed."""


class RemoteError(LoadgenError):
    """The other side of the queue failed in a way it did not expect."""


CROSSING: dict[str, type[LoadgenError]] = {
    error.__name__: error for error in (TokenError, Refused, LedgerFailed, MasterGone, RemoteError)
}


def one_line(error: BaseException) -> str:
    """Its message, without line breaks; empty when it has none."""
    return sayable(" ".join(str(error).split()))


def pointed(message: str, line: str, at: int) -> str:
    """The message, and below it the line that it is about, with a caret below its character `at`."""
    said, shown = ("".join(char if char.isprintable() else " " for char in part) for part in (message, line))
    return f"{said}\n  {shown}\n  {' ' * at}^"


def sayable(text: str) -> str:
    """The text, without what UTF-8 has no bytes for."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
