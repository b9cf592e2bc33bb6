"""The arithmetic behind docs/story.md: what is computed, what is read from a ledger, what is drawn."""

from __future__ import annotations

import doctest
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import plot, story
from benchmarks.plot import Series, draw
from benchmarks.story import LOOP, WAYS, Way, edge, makespan, tell
from loadgen.cli.sandbox_target import SandboxTarget
from loadgen.columns import Samples
from loadgen.record import CallTable
from loadgen.sample import Sample

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("module", [plot, story])
def test_examples(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def test_the_loop_is_the_story() -> None:
    """0.9 s at first, 2.9 s for the thousandth, half an hour in all."""
    calls = LOOP.calls(1000)
    assert (calls[0], calls[999]) == ((0, 0.9), (0, pytest.approx(2.898)))
    assert makespan(calls, 1) == pytest.approx(1899)
    assert makespan(calls, 8) == pytest.approx(1899), "slots do not help in one project"


def test_jobs_of_one_project_wait_for_each_other_and_others_do_not() -> None:
    calls = Way(name="w", projects=4).calls(8)
    assert [project for project, _ in calls] == [0, 1, 2, 3, 0, 1, 2, 3]
    assert makespan(calls, 4) == pytest.approx(0.9 + 0.902)
    assert makespan(calls, 99) == pytest.approx(0.9 + 0.902)
    assert makespan(calls, 2) == pytest.approx(2 * (0.9 + 0.902))


def test_a_bundle_is_one_call_a_project() -> None:
    calls = Way(name="w", projects=3, bundled=True).calls(10)
    assert calls == [(0, pytest.approx(0.908)), (1, pytest.approx(0.906)), (2, pytest.approx(0.906))]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_what_is_ordered_is_what_is_computed_and_a_hundredth(way: Way) -> None:
    order = way.order(1000)
    sandbox = SandboxTarget.parse(order.target)
    assert sandbox is not None
    costs = {word.rpartition("=")[2] for word in sandbox.options if "cost" in word}
    assert costs == {"9", "0.02"}
    assert order.options["projects"] == len({project for project, _ in way.calls(1000)})
    assert order.processes * order.concurrency == way.slots * way.processes
    assert order.scenario.is_file()


def test_a_run_is_told_by_its_calls() -> None:
    """In the order of their starts, whoever reported them first; and no other calls."""

    def call(label: str, start_us: int, total_us: int) -> Sample:
        empty: Any = dict.fromkeys(Sample.__struct_fields__, 0)
        fields = {**empty, "label": label, "error": "", "start_us": start_us, "total_us": total_us}
        return Sample(**fields)

    late = [call("create job", 500_000, 40_000), call("login", 0, 9_000_000)]
    early = [call("create job", 100_000, 10_000), call("create job", 300_000, 20_000)]
    reader: Any = SimpleNamespace(
        call_tables=lambda: [CallTable(0, 0, Samples.of(calls)) for calls in (late, early)]
    )
    told = tell(reader, "create job")
    assert (told.active_s, told.calls_ms) == (pytest.approx(0.44), [10, 20, 40])


@pytest.mark.parametrize(("count", "some"), [(1, 1), (30, 3), (200, 20), (1000, 20)])
def test_edges_of_short_runs_are_short(count: int, some: int) -> None:
    times = [1.0] * some + [9.0] * (count - 2 * some) + [2.0] * some
    assert edge(times[-count:]) == ((1.0, 2.0) if count > 1 else (2.0, 2.0))


def test_a_plot_has_its_points_where_they_belong() -> None:
    root = ElementTree.fromstring(
        draw("a < b", "x", "y", [Series("line", [(0, 0), (50, 100)]), Series("dot", [(100, 100)])])
    )
    (line,) = root.iter(f"{SVG}polyline")
    assert line.get("points") == "64.0,312.0 384.0,24.0"
    (dot,) = root.iter(f"{SVG}circle")
    assert (dot.get("cx"), dot.get("cy")) == ("704.0", "24.0")
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"0", "20", "100", "x", "y", "line", "dot"} <= set(texts)


def test_the_plot_of_the_story_is_small_and_shows_the_growth() -> None:
    text = story.plotted([9 + 0.02 * size for size in range(1000)])
    assert len(text) < 5000
    measured, wanted = ElementTree.fromstring(text).iter(f"{SVG}polyline")
    ends = [[pair.split(",")[1] for pair in each.get("points", "").split()] for each in (measured, wanted)]
    assert len(ends[0]) == 100
    assert float(ends[0][0]) == pytest.approx(float(ends[1][0]), abs=2)
    assert float(ends[0][-1]) == pytest.approx(float(ends[1][-1]), abs=2)
