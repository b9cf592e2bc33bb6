"""The benchmarks' own arithmetic and reading: what they print must be what was measured."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import (
    __main__,
    azkaban,
    growth,
    open_peers,
    open_stall,
    peers,
    processes,
    queue_server,
    queueing,
    servers,
    tables,
)
from benchmarks.lab import Failed, Lab, Missing, take_turns, wait_until
from benchmarks.lines import Timed
from benchmarks.processes import Point, Watched
from benchmarks.tables import Figure, Goal, Table
from loadgen.pace.pacing import Poisson, parse_rate

WRK = """Running 2s test @ http://127.0.0.1:8907/json
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   311.68us  529.03us   5.76ms   91.07%
    Req/Sec   132.36k    10.38k  150.00k    66.67%
  Latency Distribution
     50%  124.00us
     75%  287.00us
     90%  773.00us
     99%    2.90ms
  276216 requests in 2.10s, 52.95MB read
Requests/sec: 131479.34
Transfer/sec:     25.20MB
"""
HEY = """
Summary:
  Total:	2.0470 secs
  Slowest:	0.1109 secs
  Fastest:	0.0041 secs
  Average:	0.0097 secs
  Requests/sec:	6436.3994

Response time histogram:
  0.004 [1]	|
  0.015 [11958]	|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■

Latency distribution:
  10% in 0.0049 secs
  25% in 0.0052 secs
  50% in 0.0056 secs
  75% in 0.0062 secs
  90% in 0.0081 secs
  95% in 0.0503 secs
  99% in 0.0517 secs

Status code distribution:
  [200]	13175 responses

"""
OHA = {
    "summary": {"requestsPerSec": 5000.5},
    "latencyPercentiles": {"p50": 0.02, "p90": 0.021, "p99": 0.0225},
    "statusCodeDistribution": {"200": 10_000},
}
VEGETA = {
    "latencies": {"50th": 20_000_000, "90th": 21_000_000, "99th": 22_500_000},
    "requests": 10_000,
    "throughput": 5000.5,
    "success": 1,
}
K6 = {
    "checks": {"values": {"rate": 1}},
    "http_reqs": {"values": {"count": 10_000, "rate": 5000.5}},
    "http_req_duration": {"values": {"p(50)": 20.0, "p(90)": 21.0, "p(99)": 22.5}},
}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(
        folder=tmp_path, quick=True, long=False, rounds=2, fewer=2, client_core=None, server_core=None
    ) as laboratory:
        yield laboratory


# Figures


def test_a_figure_is_its_median_and_spread() -> None:
    figure = Figure((32.0, 10.0, 20.0))
    assert (figure.median, figure.low, figure.high) == (20, 10, 32)
    assert str(figure) == "20.0 (10.0–32.0)"  # noqa: RUF001
    assert str(Figure((20.0,))) == "20.0"


def test_what_was_not_measured_is_no_zero() -> None:
    assert Figure.of([None, 2.0, 0.0, None]) == Figure((2.0, 0.0))
    assert Figure.of([None]) is None
    assert Figure.of([]) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (84_512.3, "84,500"),
        (999.6, "1,000"),
        (123.4, "123"),
        (1.2345, "1.23"),
        (-0.01234, "-0.0123"),
    ],
)
def test_numbers_have_three_digits(value: float, shown: str) -> None:
    assert tables.number(value) == shown


def test_ratios_are_paired_by_round() -> None:
    """The ratio of the medians would be 2; in each round it was 10 or 1."""
    ours, theirs = Figure((100.0, 20.0, 10.0)), Figure((10.0, 20.0, 1.0))
    assert tables.ratio(ours, theirs) == Figure((10.0, 1.0, 10.0))


def test_a_contender_that_gave_up_is_compared_over_its_rounds() -> None:
    assert tables.ratio(Figure((2.0, 4.0)), Figure((1.0,))) == Figure((2.0,))
    assert tables.ratio(None, Figure((1.0,))) is None
    assert tables.ratio(Figure((1.0,)), Figure((0.0,))) is None


def test_deviations_are_in_percent() -> None:
    off = tables.deviation(Figure((21.0, 19.0)), Figure((20.0, 20.0)))
    assert off is not None
    assert off.values == pytest.approx((5, -5))


def test_goals() -> None:
    assert tables.at_least("x", Figure((12.0,)), 12).reached is True
    assert tables.at_least("x", Figure((11.9,)), 12).reached is False
    assert tables.at_least("x", None, 12).reached is None
    assert tables.at_most("x", Figure((0.4,)), 0.3, " s").reached is False
    assert tables.within("x", Figure((-3.1,)), 3).reached is False, "too low is wrong, too"
    assert tables.within("x", Figure((2.9,)), 3).reached is True
    assert str(tables.at_least("x", Figure((11.9,)), 12)) == "MISSED: x: wanted >= 12x, got 11.9x"


# Tables

TABLE = Table(
    name="t",
    title="A table",
    columns=("client", "requests/s", "how"),
    rows=[("wrk", [Figure((1000.0, 3000.0)), "plain"]), ("k6", [None, None])],
    goals=[Goal("fast", ">= 2x", "1x", False)],
    notes=["noisy"],
)


def test_a_table_is_rendered_as_markdown() -> None:
    assert tables.render(TABLE).splitlines() == [
        "### A table",
        "",
        "| client |          requests/s |   how |",
        "| ------ | ------------------: | ----: |",
        "| wrk    | 2,000 (1,000–3,000) | plain |",  # noqa: RUF001
        "| k6     |                   - |     - |",
        "",
        "- MISSED: fast: wanted >= 2x, got 1x",
        "",
        "- noisy",
    ]


def test_the_json_has_every_value() -> None:
    document = json.loads(json.dumps(tables.plain(TABLE)))
    assert document["rows"][0]["cells"] == [
        {"median": 2000, "min": 1000, "max": 3000, "values": [1000, 3000]},
        "plain",
    ]
    assert document["goals"] == [{"what": "fast", "wanted": ">= 2x", "got": "1x", "reached": False}]


def test_figures_are_put_in_their_places_only() -> None:
    page = "a <!-- figures: x -->old<!-- end --> b <!-- figures: y -->\nother\n<!-- end --> c"
    fresh = tables.placed(page, "x", "new")
    assert (
        fresh == "a <!-- figures: x -->\n\nnew\n\n<!-- end --> b <!-- figures: y -->\nother\n<!-- end --> c"
    )
    assert tables.placed(fresh, "x", "new") == fresh
    assert tables.placed(page, "z", "new") == page


PAGES = ("performance.md", "story.md", "open-model.md")


def test_one_page_has_a_place_for_every_table() -> None:
    docs = Path(__main__.__file__).parents[1] / "docs"
    pages = [(docs / name).read_text(encoding="utf-8") for name in PAGES]
    for name in __main__.NAMES:
        assert sum(tables.placed(page, name, "fresh") != page for page in pages) == 1, name
    assert all(tables.placed(page, "circumstances", "fresh") != page for page in pages)


def test_a_drawing_is_put_beside_the_page_that_has_its_table(tmp_path: Path) -> None:
    table = Table(name="x", title="t", columns=("c",), rows=[], drawing="<svg/>")
    for text, drawn in (("no place", False), ("<!-- figures: x --><!-- end -->", True)):
        (tmp_path / "page.md").write_text(text)
        __main__._fill(tmp_path / "page.md", [table], {})
        assert (tmp_path / "x.svg").exists() is drawn
    assert (tmp_path / "x.svg").read_text() == "<svg/>"


# Peers


def test_wrk_is_read() -> None:
    load = peers.parse_wrk(WRK)
    assert (load.requests, load.rate_per_s) == (276_216, 131_479.34)
    assert (load.p50_ms, load.p90_ms, load.p99_ms) == pytest.approx((0.124, 0.773, 2.9))


@pytest.mark.parametrize("line", ["  Non-2xx or 3xx responses: 5", "  Socket errors: connect 0, read 3"])
def test_wrk_with_errors_is_no_measurement(line: str) -> None:
    with pytest.raises(ValueError, match="errors"):
        peers.parse_wrk(WRK + line)


def test_hey_is_read() -> None:
    load = peers.parse_hey(HEY)
    assert (load.requests, load.rate_per_s) == (13_175, 6436.3994)
    assert (load.p50_ms, load.p90_ms, load.p99_ms) == pytest.approx((5.6, 8.1, 51.7))
    with pytest.raises(ValueError, match="errors"):
        peers.parse_hey(HEY + "Error distribution:\n  [3]	Get: EOF\n")


def test_those_that_speak_json_are_read() -> None:
    """Samples made after their documentation: they need not be on this machine."""
    loads = [
        peers.parse_oha(json.dumps(OHA)),
        peers.parse_vegeta(json.dumps(VEGETA)),
        peers.parse_k6("a line before\n" + json.dumps(K6)),
    ]
    for load in loads:
        assert (load.requests, load.rate_per_s) == (10_000, 5000.5)
        assert (load.p50_ms, load.p90_ms, load.p99_ms) == pytest.approx((20, 21, 22.5))


def test_their_errors_are_no_measurements() -> None:
    with pytest.raises(ValueError, match="errors"):
        peers.parse_oha(json.dumps({**OHA, "statusCodeDistribution": {"200": 9, "500": 1}}))
    with pytest.raises(ValueError, match="errors"):
        peers.parse_vegeta(json.dumps({**VEGETA, "success": 0.9}))
    with pytest.raises(ValueError, match="errors"):
        peers.parse_k6(json.dumps({**K6, "checks": {"values": {"rate": 0.9}}}))


# What is derived


def test_cpu_time_is_taken_between_two_moments() -> None:
    watched = Watched([Point(100, 0.0, 0.0), Point(102, 1.0, 3.0), Point(104, 1.0, 5.0)])
    assert watched.own_cpu_s(101, 103) == pytest.approx(0.5)
    assert watched.all_cpu_s(101, 103) == pytest.approx(2.5)
    assert watched.all_cpu_s(103, 200) == pytest.approx(1.0), "beyond the end nothing more is used"
    assert Watched().own_cpu_s(1, 2) is None


def test_a_long_run_is_cut_into_tenths() -> None:
    """100 marks, 10 items apart, a second between two, half a second in the second half."""
    marks = [float(second) for second in range(50)] + [49.5 + index / 2 for index in range(50)]
    watched = Watched([Point(0, 0.0, 0.0), Point(49, 0.0, 49.0), Point(74, 0.0, 99.0)])
    slices = growth.sliced(marks, 10, watched)
    assert len(slices) == growth.SLICES
    assert [slices[index].rate_per_s for index in (0, 3, 7, 9)] == pytest.approx([10, 10, 20, 20])
    assert slices[4].rate_per_s == pytest.approx(100 / 9.5), "the pace changes half a second before it ends"
    assert slices[0].cpu_us == pytest.approx(100_000)
    assert slices[8].cpu_us == pytest.approx(100_000)


def test_the_one_project_loop_is_extrapolated_along_straight_lines() -> None:
    exact = azkaban.extrapolated([1.0] * 10, {20: 11.0, 30: 11.0}, 30)
    assert exact == pytest.approx(10 + sum(1 + size - 10 for size in range(11, 21)) + 10 * 11)
    assert azkaban.extrapolated([1.0] * 10, {}, 10) == 10
    assert azkaban.extrapolated([1.0] * 10, {5: 99.0, 20: 1.0}, 20) == pytest.approx(20), "5 was measured"


# The laboratory


def test_contenders_take_turns_and_the_absent_are_named(lab: Lab) -> None:
    order: list[str] = []

    def wants(name: str, error: Exception | None = None) -> int:
        order.append(name)
        if error is not None:
            raise error
        return len(order)

    turns = take_turns(
        lab,
        {
            "a": lambda: wants("a"),
            "b": lambda: wants("b", Missing("b is not on PATH")),
            "c": lambda: wants("c", Failed("it fell") if "c" in order else None),
        },
    )
    assert order == ["a", "b", "c", "c", "a"], "backwards in the second round, without b"
    assert turns.measured == {"a": [1, 5], "c": [3]}
    assert turns.out == {"b": "b: left out: b is not on PATH", "c": "c: failed in round 2: it fell"}
    assert lab.failed == ["c: failed in round 2: it fell"], "a missing peer is no failure"


def test_a_missing_program_says_so(lab: Lab) -> None:
    with pytest.raises(Missing, match="no-such-program is not on PATH"):
        lab.run(["no-such-program"])


@pytest.mark.skipif(os.name != "posix", reason="benchmarks need a POSIX system")
def test_without_nginx_there_is_a_stand_in_that_does_not_stay(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers.shutil, "which", lambda name: None if name == "nginx" else name)
    with servers.web_server(lab) as web:
        assert "nginx is not on PATH" in web.what
        (process,) = lab._running
        assert json.loads(urllib.request.urlopen(web.json).read())["ok"] is True
        began_s = time.monotonic()
        urllib.request.urlopen(f"{web.delayed}/fixed").read()
        assert time.monotonic() - began_s >= servers.FIXED_MS / 1000 * 0.99, "the one time that is known"
    assert process.poll() is not None


@pytest.mark.skipif(not processes.PROC.joinpath("self", "stat").exists(), reason="needs /proc")
def test_what_a_program_started_ends_with_it(lab: Lab) -> None:
    """Also in a session of its own."""
    script = lab.folder / "family.sh"
    script.write_text("setsid sleep 60 & echo $!; wait\n")
    with lab.beside(["sh", str(script)]) as family:
        child = int(wait_until(lambda: family.out.read_text().strip() or None, "the child"))
        wait_until(lambda: child in processes.descendants(family.process.pid) or None, "its parent")

    def gone() -> bool | None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, 0)
            stat = Path(f"/proc/{child}/stat")
            return True if stat.exists() and " Z " in stat.read_text() else None
        return True

    assert wait_until(gone, "the child's end", 10)


def test_nginx_gets_delays_only_with_its_echo_module(tmp_path: Path) -> None:
    with_delays = servers.configuration(tmp_path, 8080, Path("/m/echo.so"))
    assert "load_module /m/echo.so;" in with_delays
    assert "echo_sleep 0.02;" in with_delays
    assert "92% 0.005; * 0.05;" in with_delays
    without = servers.configuration(tmp_path, 8080, None)
    assert "load_module" not in without
    assert "echo_sleep" not in without


# The command


@pytest.mark.parametrize(
    "words", [["no-such-table"], ["--repeat", "0"], ["--json", "/no/such/folder/x.json"]]
)
def test_mistakes_are_told_before_anything_runs(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        __main__.main(words)
    assert exit_.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_every_table_there_is_has_its_module() -> None:
    folder = Path(__main__.__file__).parent
    assert [name for name in __main__.NAMES if not (folder / f"{name}.py").is_file()] == []


# Queues of which the truth is known


def test_the_line_is_walked_item_by_item() -> None:
    assert queueing.walked([0, 1, 1.5, 9], 2) == [2, 3, 4.5, 2]
    assert queueing.walked([0, 1, 2, 3], 0.1, [(0.5, 2.5)]) == pytest.approx([0.1, 1.6, 0.7, 0.1])


@pytest.mark.parametrize("load", [0.3, 0.5, 0.7, 0.9])
def test_the_formula_of_the_long_run_has_the_mean_that_is_known(load: float) -> None:
    """The integral of the tail is the mean wait; nobody waits with the chance that nobody is there."""
    step = 0.05
    tail = [1 - queueing.waiting(load, 1.0, step * n) for n in range(1200 if load > 0.8 else 400)]
    integral = step * (sum(tail) - (tail[0] + tail[-1]) / 2)
    assert integral == pytest.approx(queueing.mean(load, 1.0) - 1, rel=0.01)
    assert queueing.waiting(load, 1.0, 0) == pytest.approx(1 - load)
    assert queueing.waiting(load, 1.0, -0.1) == 0


def test_a_long_walk_comes_to_the_long_run() -> None:
    offsets = Poisson(parse_rate("50/s"), 1).offsets_us(0, 60_000)
    found = queueing.spots(queueing.walked([offset / 1e6 for offset in offsets], 0.01))
    assert found["mean"] == pytest.approx(queueing.mean(50, 0.01), rel=0.02)
    for spot, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        assert found[spot] == pytest.approx(queueing.quantile(50, 0.01, share), rel=0.04)


def test_spots_are_ranks() -> None:
    assert queueing.spots([4, 1, 3, 2]) == {"mean": 2.5, "p50": 2, "p90": 4, "p99": 4}


def test_the_line_serves_one_at_a_time_in_order_and_stands_still_once() -> None:
    """Three come together: the last waits for all of them."""
    server = queue_server.Server(5_000_000, stall_after=3, stall_s=0.05)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve, args=(listener,))
    thread.start()
    try:
        callers = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        for caller in callers:
            caller.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [caller.recv(1000) for caller in callers] == [queue_server.ANSWER] * 3
        callers[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert callers[0].recv(1000) == queue_server.ANSWER
        for caller in callers:
            caller.close()
    finally:
        server.leave()
        thread.join()
        listener.close()
    first, _, third, last = server.left_s
    began = first - server.services_us[0] / 1e6  # who is woken late sends late, and the next one in time
    assert third - began >= 3 * 0.005 * 0.99
    ((stop_s, go_s),) = server.stalls
    assert stop_s <= go_s - 0.049
    assert go_s <= last
    assert min(server.services_us) >= 5_000


def test_wrk2_is_read() -> None:
    """A sample made after its documentation."""
    text = (
        "  Latency Distribution (HdrHistogram - Recorded Latency)\n 50.000%    1.23ms\n 75.000%    2.00ms\n"
        " 90.000%  180.50ms\n 99.000%    0.91s\n\n  2000 requests in 10.00s, 1MB read\n"
        "Requests/sec:    199.98\n"
    )
    load = open_peers.parse_wrk2(text)
    assert (load.requests, load.rate_per_s) == (2000, 199.98)
    assert (load.p50_ms, load.p90_ms, load.p99_ms) == pytest.approx((1.23, 180.5, 910))
    for bad in (text + "  Socket errors: connect 0, read 3", "nothing"):
        with pytest.raises(ValueError, match=r"errors|lacks"):
            open_peers.parse_wrk2(bad)


def test_a_stall_is_drawn() -> None:
    opened = [Timed(n, 100 + n / 10, 0.0, 2.0 if n == 7 else 0.1) for n in range(10)]
    lines = open_stall._plot(opened, [Timed(0, 50.0, 0.0, 0.1), Timed(1, 52.0, 0.0, 0.1)]).splitlines()
    assert lines[1] == f"  0.0 s |{'##':<40}|     5 items,   100.0   100.0 ms"
    assert lines[2] == f"  0.5 s |{'##' + 38 * '-'}|     5 items,   100.0  2000.0 ms"
    assert sum("nothing was asked" in line for line in lines) == 3


def test_one_word_stands_for_several_tables() -> None:
    assert __main__._tables(["truth", "open"]) == ["truth", *__main__.GROUPS["open"]]
    assert {name for names in __main__.GROUPS.values() for name in names} <= set(__main__.NAMES)


def test_a_drawing_in_characters_is_fenced() -> None:
    table = Table(name="x", title="t", columns=("c",), rows=[], text="|##  |\n|#   |")
    assert "```\n|##  |\n|#   |\n```" in tables.render(table)
