"""Many results or samples as columns: what travels and is kept when there are a million of them.

A column of whole numbers is packed as its smallest value and the differences to it, in as few bytes
each as the largest difference needs; a column of equal values takes no more room than one of them.  So a
sample is some ten to fifteen bytes on the wire and on disk, and nobody on its way has to look at it.
"""

from __future__ import annotations

import operator
import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain, compress, pairwise, starmap
from typing import Self

import msgspec

from loadgen.sample import NOTHING, Count, Outcome, Presence, Result, Sample

FROM_WORKERS = (Outcome.DONE, Outcome.FAILED, Outcome.DROPPED)
"""Outcomes that a worker can see."""
_DONE = Outcome.DONE
"""Asking the enum, as is done here for each result, takes as long as calling a function."""
_HEAD = struct.Struct("<cqI")
_EQUAL = b"="
_WIDTHS = ((1 << 8, "B"), (1 << 16, "H"), (1 << 32, "I"), (1 << 64, "Q"))
MOST = 1 << 20
"""Values in a column."""
LOWEST, HIGHEST = -1, 2**62
"""What a packed number may be: the ledger's integers have 64 bits, and NO_ITEM is -1."""


def pack(values: Sequence[int]) -> bytes:
    """A column; empty for no values.

    >>> len(pack([1700000000000000] * 1000)), len(pack(range(1000)))
    (13, 2013)
    """
    if not values:
        return b""
    low, high = min(values), max(values)
    if low == high:
        return _HEAD.pack(_EQUAL, low, len(values))
    code = next(code for limit, code in _WIDTHS if high - low < limit)
    column = array(code, [value - low for value in values] if low else values)
    if sys.byteorder == "big":
        column.byteswap()
    return _HEAD.pack(code.encode(), low, len(values)) + column.tobytes()


def unpack(data: bytes) -> list[int]:
    """The values.  Raises ValueError when these bytes are no column of numbers in bounds.

    >>> unpack(pack([5, 3, 300]))
    [5, 3, 300]
    """
    if not data:
        return []
    count = length(data)
    code, low, _ = _HEAD.unpack_from(data)
    if code == _EQUAL:
        return [low] * count
    column = array(code.decode(), data[_HEAD.size :])
    if sys.byteorder == "big":
        column.byteswap()
    return [value + low for value in column] if low else column.tolist()


def length(data: bytes) -> int:
    """How many values are in a column.  Raises ValueError when it cannot be one."""
    if not data:
        return 0
    try:
        code, low, count = _HEAD.unpack_from(data)
    except struct.error as error:
        raise ValueError("a column is cut off") from error
    width = 0 if code == _EQUAL else next((i for i, (_, c) in enumerate(_WIDTHS) if c.encode() == code), None)
    if width is None or not LOWEST <= low <= HIGHEST or not 0 < count <= MOST:
        raise ValueError("not a column")
    size = 0 if code == _EQUAL else count << width
    if len(data) != _HEAD.size + size:
        raise ValueError("a column is not as long as it says")
    if code == b"Q" and max(struct.unpack_from(f"<{count}Q", data, _HEAD.size)) > HIGHEST - low:
        raise ValueError("a number too large")
    return int(count)


class Plain(msgspec.Struct, frozen=True, array_like=True):
    """Results that are alike: of items that were done at the first attempt and returned nothing."""

    spans: tuple[tuple[Count, Count], ...]
    """(start, stop) ranges of items, in order."""
    start_us: bytes
    """A column, in the items' order; see `Result`."""
    duration_us: bytes
    lag_us: bytes = b""
    """Empty in a closed model."""

    def __len__(self) -> int:
        """How many results are in it."""
        return sum(stop - start for start, stop in self.spans)

    def items(self) -> Iterator[int]:
        """The items, in order."""
        return chain.from_iterable(starmap(range, self.spans))

    def times(self) -> tuple[list[int], list[int]]:
        """When each was started and how long it took, in microseconds, in the items' order."""
        return unpack(self.start_us), unpack(self.duration_us)

    def lags(self) -> list[int]:
        """How long after its intended start each was started, in microseconds."""
        return unpack(self.lag_us) or [0] * len(self)

    def responses(self) -> list[int]:
        """How long it took from when each was meant to start; in a closed model, from its start."""
        return list(map(operator.add, unpack(self.duration_us), self.lags()))

    def punctual(self) -> Plain:
        """The same, as if each had started when it was meant to: what is left of its times is the service."""
        return Plain(self.spans, self.start_us, self.duration_us)

    def results(self) -> Iterator[Result]:
        """Each result by itself."""
        for item, start_us, duration_us, lag_us in zip(self.items(), *self.times(), self.lags(), strict=True):
            yield Result(item, 1, Outcome.DONE, start_us, duration_us, lag_us=lag_us)

    def chosen(self, which: Sequence[bool]) -> Plain:
        """Those where it is true."""
        items = list(compress(self.items(), which))
        columns = (self.start_us, self.duration_us, self.lag_us)
        return Plain(
            _spans(items) if items else (), *(pack(list(compress(unpack(c), which))) for c in columns)
        )

    def check(self) -> None:
        """Raises ValueError when it contradicts itself."""
        ends = [end for span in self.spans for end in span]
        if any(before >= after for before, after in zip(ends[::2], ends[1::2], strict=True)) or any(
            before > after for before, after in zip(ends[1::2], ends[2::2], strict=False)
        ):
            raise ValueError("spans out of order")
        lags = length(self.lag_us) or len(self)
        if not length(self.start_us) == length(self.duration_us) == lags == len(self):
            raise ValueError("columns of different lengths")


NO_PLAIN = Plain((), b"", b"")


def divide(results: Sequence[Result]) -> tuple[Plain, tuple[Result, ...]]:
    """Those that are alike, and the others."""
    plain = [result for result in results if is_plain(result)]
    if not plain:
        return NO_PLAIN, tuple(results)
    others = tuple(result for result in results if not is_plain(result)) if len(plain) < len(results) else ()
    plain.sort(key=lambda result: result.item)
    columns = list(zip(*map(msgspec.structs.astuple, plain), strict=True))
    lags_us = pack(columns[9]) if any(columns[9]) else b""
    return Plain(_spans(columns[0]), pack(columns[3]), pack(columns[4]), lags_us), others


def is_plain(result: Result) -> bool:
    """Whether nothing need be said of it but when, and how long."""
    return result.outcome is _DONE and result.attempt == 1 and result.value is NOTHING and not result.found


def _spans(items: Sequence[int]) -> tuple[tuple[int, int], ...]:
    first, last = items[0], items[-1]
    if last - first == len(items) - 1:
        return ((first, last + 1),)
    breaks = [n for n in range(1, len(items)) if items[n] != items[n - 1] + 1]
    return tuple((items[a], items[b - 1] + 1) for a, b in pairwise([0, *breaks, len(items)]))


_NUMBERS = tuple(name for name in Sample.__struct_fields__ if name not in ("label", "error"))
_WORDS = ("label", "error")
_PLACES = {name: number for number, name in enumerate((*_WORDS, *_NUMBERS))}


class Samples(msgspec.Struct, frozen=True, array_like=True):
    """Samples as columns."""

    words: tuple[str, ...]
    """Labels and errors, each once; the columns of both hold positions in it."""
    columns: tuple[bytes, ...]
    """Label and error, then one for each number of `Sample`, in its order; later ones may be missing in
    what an older version kept, and are zeros then."""

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Self:
        """Pack."""
        if not samples:
            return cls((), ())
        columns = zip(*map(msgspec.structs.astuple, samples), strict=True)
        fields = dict(zip(Sample.__struct_fields__, columns, strict=True))
        places: dict[str, int] = {}
        for name in _WORDS:
            for word in fields[name]:
                places.setdefault(word, len(places))
        numbers = [pack(fields[name]) for name in _NUMBERS]
        words = [pack([places[word] for word in fields[name]]) for name in _WORDS]
        return cls(tuple(places), (*words, *numbers))

    def __len__(self) -> int:
        """How many samples are in it."""
        return length(self.columns[0]) if self.columns else 0

    def numbers(self, name: str) -> list[int]:
        """A column by the name of the field."""
        place = _PLACES[name]
        return unpack(self.columns[place]) if place < len(self.columns) else [0] * len(self)

    def texts(self, name: str) -> list[str]:
        """The same for label and error."""
        return [self.words[place] for place in self.numbers(name)]

    def chosen(self, which: Sequence[bool]) -> Samples:
        """Those where it is true."""
        return Samples(self.words, tuple(pack(list(compress(unpack(c), which))) for c in self.columns))

    def punctual(self) -> Samples:
        """The same, as if each had started when it was meant to: what is left of its times is the service."""
        return Samples(self.words, self.columns[: _PLACES["lag_us"]])

    def by_label(self) -> dict[str, Samples]:
        """Those of each label."""
        labels = self.texts("label")
        names = dict.fromkeys(labels)
        if len(names) == 1:
            return dict.fromkeys(names, self)
        return {name: self.chosen([label == name for label in labels]) for name in names}

    def rows(self) -> Iterator[Sample]:
        """Each sample by itself."""
        read = {name: self.texts(name) if name in _WORDS else self.numbers(name) for name in _PLACES}
        return starmap(Sample, zip(*(read[name] for name in Sample.__struct_fields__), strict=True))

    def check(self) -> None:
        """Raises ValueError when it contradicts itself."""
        if not self.columns:
            return
        if len(self.columns) != len(_PLACES) or len({length(column) for column in self.columns}) != 1:
            raise ValueError("columns of different lengths")
        for name in _WORDS:
            places = self.numbers(name)
            if min(places) < 0 or max(places) >= len(self.words):
                raise ValueError("a word that is not there")


NO_SAMPLES = Samples((), ())


class Harvest(msgspec.Struct, frozen=True, array_like=True):
    """What came of items of one lease."""

    plain: Plain = NO_PLAIN
    """Results that are alike."""
    results: tuple[Result, ...] = ()
    """The other results."""
    samples: Samples = NO_SAMPLES
    """Calls that ended."""
    verdicts: tuple[tuple[Count, Presence], ...] = ()
    """By item: what was found on the target, for a lease that is verifying."""

    @classmethod
    def of(
        cls,
        results: Sequence[Result] = (),
        samples: Sequence[Sample] = (),
        verdicts: Sequence[tuple[int, Presence]] = (),
    ) -> Self:
        """Pack."""
        plain, others = divide(results)
        return cls(plain, others, Samples.of(samples), tuple(verdicts))

    @property
    def ended(self) -> int:
        """How many attempts, and looks at the target, ended."""
        return len(self.plain) + len(self.results) + len(self.verdicts)

    @property
    def failed(self) -> int:
        """How many attempts failed."""
        return sum(result.outcome is Outcome.FAILED for result in self.results)

    def items(self) -> Iterator[int]:
        """The items of which an attempt, or a look at the target, ended."""
        yield from self.plain.items()
        yield from (result.item for result in self.results)
        yield from (item for item, _ in self.verdicts)

    def check(self, items: int) -> None:
        """Raises ValueError when it contradicts itself, or a step of so many items."""
        ends = [stop - 1 for _, stop in self.plain.spans]
        others = [result.item for result in self.results] + [item for item, _ in self.verdicts]
        if max([*ends, *others], default=-1) >= items or any(
            r.outcome not in FROM_WORKERS for r in self.results
        ):
            raise ValueError("an item or an outcome that does not exist")
        self.plain.check()
        self.samples.check()
