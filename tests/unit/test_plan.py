"""A plan, its chunks, and how large the next chunk is."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.plan import LARGEST_CHUNK, Chunk, Plan, StepPlan, chunk_size

counts = st.integers(1, 10**7)
wants = st.integers(-5, 10**6)
crowds = st.integers(-1, 300)


def test_a_plan_counts_the_items_of_all_steps() -> None:
    """No steps, no items."""
    assert Plan(()).items == 0
    assert Plan((StepPlan(0, "create", 10), StepPlan(1, "run", 5))).items == 15


def test_a_plain_chunk_is_its_range() -> None:
    """Each item may run beside each other."""
    chunk = Chunk(0, 3, 6)
    assert (len(chunk), list(chunk), chunk.items) == (3, [3, 4, 5], range(3, 6))


def test_a_keyed_chunk_is_its_lanes() -> None:
    """Items of one lane come together, in their order."""
    chunk = Chunk(0, lanes=((1, 4), (2,)))
    assert (len(chunk), list(chunk), chunk.items) == (3, [1, 4, 2], (1, 4, 2))


@pytest.mark.parametrize("chunk", [Chunk(0), Chunk(1, 4, 4), Chunk(2, 1, 9), Chunk(3, lanes=((1,), (2, 3)))])
def test_a_chunk_survives_the_wire(chunk: Chunk) -> None:
    """What the worker decodes is what the master encoded."""
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(chunk), type=Chunk) == chunk


@given(remaining=counts, want=wants, workers=crowds)
def test_a_chunk_stays_within_its_bounds(remaining: int, want: int, workers: int) -> None:
    """At least one item; never more than is left, than was wanted, than fits, than a fair share."""
    size = chunk_size(remaining, want, workers)
    assert 1 <= size <= min(remaining, max(want, 1), LARGEST_CHUNK)
    assert 2 * max(workers, 1) * (size - 1) < remaining


@given(remaining=st.integers(1, 5_000), want=st.integers(0, 500), workers=st.integers(0, 8), data=st.data())
def test_taking_chunk_after_chunk_ends(remaining: int, want: int, workers: int, data: st.DataObject) -> None:
    """However workers come and go, every chunk makes what is left smaller, until nothing is."""
    steps = 0
    while remaining:
        workers = max(0, workers + data.draw(st.integers(-1, 1))) if steps < 20 else workers
        size = chunk_size(remaining, want, workers)
        assert 0 < size <= remaining
        remaining -= size
        steps += 1


@given(want=st.integers(1, 10**6), workers=st.integers(1, 300), remaining=counts)
def test_chunks_do_not_grow_while_the_work_shrinks(want: int, workers: int, remaining: int) -> None:
    """The last workers finish together."""
    assert chunk_size(remaining, want, workers) <= chunk_size(remaining + 1, want, workers)


def test_a_large_queue_gives_what_is_wanted_up_to_the_largest_chunk() -> None:
    """The share of what is left does not matter while there is much of it."""
    assert chunk_size(10**7, 200, 2) == 200
    assert chunk_size(10**7, 10**6, 2) == LARGEST_CHUNK
    assert chunk_size(100, 200, 2) == 25
