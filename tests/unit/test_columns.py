"""Results and samples as columns."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.columns import (
    _HEAD,
    HIGHEST,
    MOST,
    Harvest,
    Plain,
    Samples,
    divide,
    is_plain,
    length,
    pack,
    unpack,
)
from loadgen.sample import NOTHING, Outcome, Presence, Result, Sample

numbers = st.integers(-1, HIGHEST)
samples = st.lists(
    st.builds(
        Sample,
        item=numbers,
        attempt=st.integers(1, 3),
        label=st.sampled_from(["a", "b", ""]),
        start_us=numbers,
        total_us=st.integers(0, 70_000),
        status=st.sampled_from([0, 200, 500]),
        error=st.sampled_from(["", "HTTP 500", "a"]),
    ),
    max_size=30,
)
results = st.lists(
    st.builds(
        Result,
        item=st.integers(0, 300),
        attempt=st.integers(1, 2),
        outcome=st.sampled_from([Outcome.DONE, Outcome.DONE, Outcome.FAILED]),
        start_us=st.integers(0, HIGHEST),
        duration_us=st.integers(0, 10**9),
        value=st.sampled_from([NOTHING, msgspec.Raw(b"\x01")]),
    ),
    max_size=30,
    unique_by=lambda result: result.item,
)


@given(st.lists(numbers) | st.lists(st.integers(5, 6)) | st.lists(st.integers(0, 300)))
def test_a_column_comes_back_as_it_was(values):
    packed = pack(values)
    assert unpack(packed) == values
    assert length(packed) == len(values)


@pytest.mark.parametrize(
    ("values", "bytes_each"),
    [([7] * 100, 0), (range(50, 150), 1), ([0, 300] * 50, 2), ([0, 70_000] * 50, 4), ([0, 2**40] * 50, 8)],
)
def test_a_column_takes_what_its_differences_need(values, bytes_each):
    assert len(pack(list(values))) == 13 + 100 * bytes_each


@given(st.binary(max_size=60))
def test_bytes_that_are_no_column_are_refused(data):
    """By a ValueError, whatever they are; what is not refused can be read."""
    try:
        count = length(data)
    except ValueError:
        with pytest.raises(ValueError):
            unpack(data)
    else:
        assert len(unpack(data)) == count


@given(st.lists(numbers, min_size=1), st.data())
def test_a_column_that_was_cut_off_is_refused(values, data):
    packed = pack(values)
    cut = data.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(ValueError, match="column"):
        length(packed[:cut])


@given(samples)
def test_samples_come_back_as_they_were(rows):
    packed = Samples.of(rows)
    packed.check()
    assert len(packed) == len(rows)
    assert list(packed.rows()) == rows
    assert packed.numbers("total_us") == [row.total_us for row in rows]
    assert packed.texts("error") == [row.error for row in rows]
    chosen = packed.chosen([row.label == "a" for row in rows])
    assert list(chosen.rows()) == [row for row in rows if row.label == "a"]


def test_what_an_older_version_kept_has_zeros_for_what_it_did_not_know():
    packed = Samples.of([Sample(1, 1, "a", 5, 6)] * 3)
    older = Samples(packed.words, packed.columns[:-2])
    assert older.numbers(Sample.__struct_fields__[-1]) == [0, 0, 0]
    assert list(older.rows()) == list(packed.rows())


@given(results)
def test_results_are_divided_and_none_is_lost(rows):
    plain, others = divide(rows)
    plain.check()
    assert list(plain.results()) == sorted((r for r in rows if is_plain(r)), key=lambda r: r.item)
    assert list(others) == [row for row in rows if not is_plain(row)]
    assert all(before < after for (_, before), (after, _) in zip(plain.spans, plain.spans[1:], strict=False))


@given(results, samples)
def test_a_harvest_travels(rows, calls):
    harvest = Harvest.of(rows, calls, [(3, Presence.ABSENT)])
    there = msgspec.msgpack.decode(msgspec.msgpack.encode(harvest), type=Harvest)
    there.check(301)
    assert there == harvest
    assert there.ended == len(rows) + 1
    assert sorted(there.items()) == sorted([*(row.item for row in rows), 3])


@pytest.mark.parametrize(
    "data",
    [
        _HEAD.pack(b"=", 0, MOST + 1),
        _HEAD.pack(b"Q", 0, 1) + (2**64 - 1).to_bytes(8, "little"),
        _HEAD.pack(b"Q", HIGHEST, 1) + (1).to_bytes(8, "little"),
        _HEAD.pack(b"=", HIGHEST + 1, 1),
        _HEAD.pack(b"=", 0, 0),
    ],
)
def test_a_column_that_nobody_could_keep_is_refused(data):
    """Thirteen bytes must not become four thousand million numbers, nor a number that SQLite cannot hold."""
    with pytest.raises(ValueError):
        length(data)


A_COLUMN = pack([1, 2, 3])
COLUMNS = len(Sample.__struct_fields__)


@pytest.mark.parametrize(
    "harvest",
    [
        Harvest(Plain(((0, 3),), A_COLUMN, pack([1, 2]))),
        Harvest(Plain(((0, 2),), A_COLUMN, A_COLUMN)),
        Harvest(Plain(((3, 0), (0, 6)), A_COLUMN, A_COLUMN)),
        Harvest(Plain(((1, 3), (0, 1)), A_COLUMN, A_COLUMN)),
        Harvest(Plain(((8, 11),), A_COLUMN, A_COLUMN)),
        Harvest(results=(Result(10, 1, Outcome.DONE, 0, 0),)),
        Harvest(results=(Result(1, 1, Outcome.UNKNOWN, 0, 0),)),
        Harvest(verdicts=((10, Presence.ABSENT),)),
        Harvest(samples=Samples(("",), (A_COLUMN,) * 3)),
        Harvest(samples=Samples(("",), (A_COLUMN,) * COLUMNS)),
        Harvest(samples=Samples((), (b"",) * COLUMNS)),
        Harvest(samples=Samples(("",), (b"?",) * COLUMNS)),
    ],
)
def test_a_harvest_that_makes_no_sense_is_refused(harvest):
    """Nobody on the way to the reports has to look inside again."""
    with pytest.raises(ValueError):
        harvest.check(10)


# In an open model


def test_lags_stay_with_their_items():
    late = [Result(item, 1, Outcome.DONE, 100, 10 * item, lag_us=item % 3) for item in (7, 5, 6)]
    plain, others = divide(late)
    assert others == ()
    assert (plain.lags(), plain.responses()) == ([2, 0, 1], [52, 60, 71])
    assert list(plain.results()) == sorted(late, key=lambda result: result.item)
    Harvest(plain).check(10)


def test_without_lags_there_is_no_column_and_response_is_service():
    plain, _ = divide([Result(item, 1, Outcome.DONE, 100, 10) for item in range(3)])
    assert plain.lag_us == b""
    assert (plain.lags(), plain.responses()) == ([0, 0, 0], [10, 10, 10])


def test_lags_of_other_items_are_refused():
    with pytest.raises(ValueError, match="lengths"):
        Plain(((0, 3),), A_COLUMN, A_COLUMN, pack([1, 2])).check()


def test_what_was_dropped_is_no_plain_result():
    dropped = Result(1, 1, Outcome.DROPPED, 0, 0, "no slot", lag_us=5)
    harvest = Harvest.of([dropped])
    assert harvest.results == (dropped,)
    assert (harvest.ended, harvest.failed) == (1, 0)
    harvest.check(10)


def test_samples_of_a_version_without_lags_have_none():
    kept = Samples.of([Sample(1, 1, "a", 5, 6, lag_us=7), Sample(2, 1, "a", 5, 6)])
    assert kept.numbers("lag_us") == [7, 0]
    older = Samples(kept.words, kept.columns[:-1])
    assert older.numbers("lag_us") == [0, 0]
    assert [sample.lag_us for sample in older.rows()] == [0, 0]
