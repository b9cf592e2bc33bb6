"""What a widening makes of targets whose truth is known: simulated, on a clock that is stepped."""

from collections.abc import Callable

import pytest

from loadgen.execution.widening import WINDOW_US, Reading, Widening

STEP_US = 20_000
PROCESSES = 2


class Pool:
    """Ends items as fast as a target lets it, and looks at its widening as a worker does."""

    def __init__(
        self,
        rate: Callable[[int], float],
        *,
        failing: Callable[[int], float] = lambda _: 0.0,
        cpu: Callable[[int], float] = lambda _: 0.1,
        late_us: Callable[[int], int] = lambda _: 100,
        most: int = 64,
    ) -> None:
        self.widening = Widening(PROCESSES, 16, most)
        self.widths = [16]
        self._rate, self._failing, self._cpu, self._late_us = rate, failing, cpu, late_us
        self._at_us, self._ended, self._failed, self._cpu_s = 0, 0.0, 0.0, 0.0

    def run(self, seconds: float) -> list[int]:
        """The widths that it had, one after the other."""
        for _ in range(round(seconds * 1_000_000) // STEP_US):
            slots, passed_s = PROCESSES * self.widening.width, STEP_US / 1_000_000
            ended = self._rate(slots) * passed_s
            self._at_us += STEP_US
            self._ended += ended
            self._failed += ended * self._failing(slots)
            self._cpu_s += self._cpu(slots) * passed_s * PROCESSES
            reading = Reading(
                self._at_us, int(self._ended), int(self._failed), self._cpu_s, 0, self._late_us(slots)
            )
            if self.widening.observe(reading):
                self.widths.append(self.widening.width)
        return self.widths


def waiting(service_s: float, full: int = 10_000) -> Callable[[int], float]:
    """Items a second of a target that serves `full` at once, each in so many seconds."""
    return lambda slots: min(slots, full) / service_s


@pytest.mark.parametrize(
    ("pool", "widths"),
    [
        pytest.param(Pool(waiting(0.02)), [16, 32, 64], id="a target that serves all at once"),
        pytest.param(Pool(waiting(0.02), most=40), [16, 32], id="up to what may be"),
        pytest.param(Pool(waiting(0.02), most=16), [16], id="nothing may be tried"),
        pytest.param(Pool(waiting(0.02, full=20)), [16, 32, 16], id="a target with 20 threads"),
        pytest.param(Pool(waiting(0.02, full=64)), [16, 32, 64, 32], id="one with 64"),
        pytest.param(Pool(waiting(0.001), cpu=lambda _: 0.7), [16], id="a pool that computes"),
        pytest.param(
            Pool(waiting(0.02), cpu=lambda slots: slots / 100), [16, 32], id="one that begins to compute"
        ),
        pytest.param(Pool(waiting(0.02), late_us=lambda _: 5_000), [16], id="a machine that is busy already"),
        pytest.param(
            Pool(waiting(0.02), late_us=lambda slots: 50 * slots),
            [16, 32, 16],
            id="a pool whose times become untrue",
        ),
        pytest.param(
            Pool(waiting(0.02), failing=lambda slots: 0.2 * (slots > 50)),
            [16, 32, 16],
            id="a target that fails under it",
        ),
        pytest.param(
            Pool(waiting(0.02), failing=lambda _: 0.2), [16, 32, 64], id="a target that fails anyway"
        ),
    ],
)
def test_slots_are_doubled_as_long_as_it_pays(pool: Pool, widths: list[int]) -> None:
    assert pool.run(20) == widths
    assert pool.widening.settled


def test_a_slow_target_is_given_the_time_it_takes() -> None:
    """Ten seconds an item: after one round nothing can be said, and nothing is."""
    pool = Pool(waiting(10.0))
    assert pool.run(29) == [16]
    assert pool.run(5) == [16, 32]


def test_what_was_under_way_before_does_not_count() -> None:
    """After a change, items of the old width end first: they would make the new one look as slow."""
    widening = Widening(1, 16, 64)
    window_s = WINDOW_US / 1_000_000

    def at(seconds: float, ended: int) -> bool:
        return widening.observe(Reading(round(seconds * 1_000_000), ended, 0, 0.0, 0, 0))

    assert not at(0, 0)
    assert not at(1, 16)  # the measurement begins
    assert at(1 + window_s, 16 + 100)
    assert widening.width == 32
    assert not at(20, 116 + 31)  # a pause that the target made: one of the old ones is still to come
    assert not at(20.1, 116 + 32)
    assert at(20.1 + window_s, 148 + 200)
    assert widening.width == 64


def test_another_step_is_not_compared_with_the_one_before() -> None:
    """Its items may take ten times as long: that is not the width's doing."""
    widening = Widening(1, 16, 64)

    def at(seconds: float, ended: int, step: int) -> bool:
        return widening.observe(Reading(round(seconds * 1_000_000), ended, 0, 0.0, step, 0))

    assert not at(0, 0, 0)
    assert not at(0.1, 16, 0)
    assert at(0.6, 516, 0)
    assert widening.width == 32
    assert not at(0.7, 548, 0)
    assert not at(0.8, 560, 1), "another step begins"
    assert not at(2, 592, 1)
    assert at(4, 692, 1), "at 50 a second, after 1000: it is measured anew, and widened"
    assert widening.width == 64
