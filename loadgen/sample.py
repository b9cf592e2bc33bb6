"""The values that travel: from the call to the worker, over the queue to the master, into the ledger.

They are msgspec structs, frozen, and packed as arrays: on the wire a sample is a dozen numbers.
Units stand in the names.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, TypeAlias

import msgspec

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""What the ledger can keep: a mad worker's numbers are turned away at the door, not in a commit."""
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
"""The same; no infinity, no NaN."""

NO_ITEM = -1
"""The item index of calls made outside any item: login on the master, setup, verify, teardown."""

NOTHING = msgspec.Raw(b"\xc0")
"""None, as MessagePack."""


class Outcome(IntEnum):
    """How an item ended."""

    DONE = 1
    """The step returned, and no call in it failed."""
    FAILED = 2
    """The step raised, or a call had a status that was not expected."""
    UNKNOWN = 3
    """It was sent, and nobody can say what became of it."""
    DROPPED = 4
    """It was never sent: no slot was free in time."""
    CANCELLED = 5
    """It was never sent: the run was told to leave it."""


class Presence(IntEnum):
    """What was found when an item in doubt was looked for on the target."""

    EXISTS = 1
    """Its effect is there."""
    ABSENT = 2
    """Its effect is not there."""
    UNSURE = 3
    """It could not be told."""


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One HTTP request, timed by the transport itself.

    All phase times count from the start of the call, as libcurl's do; a phase that did not happen
    (no new connection, no TLS, no answer) is 0.
    """

    item: Annotated[int, msgspec.Meta(ge=NO_ITEM, le=2**62)]
    """Index of the item that made the call, or NO_ITEM."""
    attempt: Count
    """Which try at the item, from 1."""
    label: str
    """What the report calls it, e.g. `create_flow POST /manager`."""
    start_us: Count
    """When it was started: wall clock of the worker, microseconds since 1970."""
    total_us: Count
    """Service time: from the start until the last byte came, or it failed."""
    connect_us: Count = 0
    """Until the TCP connection stood; 0 when one was reused."""
    tls_us: Count = 0
    """Until the TLS handshake was over; 0 when there was none."""
    first_byte_us: Count = 0
    """Until the first byte of the answer."""
    bytes_out: Count = 0
    """Size of the request: line, headers and body."""
    bytes_in: Count = 0
    """Size of the answer: status line, headers and body."""
    status: Count = 0
    """HTTP status; 0 when no answer came."""
    error: str = ""
    """Why the call counts as failed; empty when it does not."""
    dns_us: Count = 0
    """Until the name was resolved; 0 when a connection was reused."""
    lag_us: Count = 0
    """In an open model: how long after its item's intended start it was started; 0 for an item's later
    calls."""


class Result(msgspec.Struct, frozen=True, array_like=True):
    """One attempt at one item, as the worker saw it end."""

    item: Count
    """Index of the item in its step."""
    attempt: Count
    """Which try, from 1."""
    outcome: Outcome
    """DONE, FAILED, or DROPPED; the other outcomes are the master's to say."""
    start_us: Count
    """When the step's function was called: wall clock of the worker, microseconds since 1970."""
    duration_us: Count
    """How long the step's function ran."""
    error: str = ""
    """One line for people; empty when DONE."""
    value: msgspec.Raw = NOTHING
    """What the step returned, as MessagePack; goes into the manifest unless it is None."""
    retry_ms: Count | None = None
    """Ask for another attempt, so many milliseconds from now; None: this is how the item ended."""
    found: bool = False
    """Its effect was on the target already: it was looked for, and nothing was done."""
    lag_us: Count = 0
    """In an open model: how long after it was meant to start it was started."""
