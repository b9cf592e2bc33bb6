"""The screen of a run that goes on: it fits whatever terminal, folds, and is painted without flicker."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from test_progress import a_progress, a_worker

from loadgen.record import ItemCounts
from loadgen.reports.painter import Painter
from loadgen.reports.palette import BAD
from loadgen.reports.progress import LiveProgress
from loadgen.reports.pulse import Second
from loadgen.reports.screen import Scene, State, draw
from loadgen.reports.watch import Standing


def a_scene(steps: int = 3, workers: int = 3, **changes: object) -> Scene:
    by_step = tuple((f"step_{n}", ItemCounts(100, done=60, failed=n)) for n in range(steps))
    made = Scene(
        a_progress(step="step_1", by_step=by_step),
        limits="rate 50/s",
        workers=[replace(a_worker(), name=f"loader-{n}:400{n}") for n in range(workers)],
        standings=[Standing("failed<1%", 0.5, "%", True), Standing("p95<5ms", 7.25, "ms", False)],
        seconds=[Second(n, n, 0, n, 0, 1.0, float(n % 7), 2.0) for n in range(90)],
        notices=[(12.0, "worker lost"), (3.0, "rate from none to 50/s, by hand")],
        keys="p pause   s stop   + - rate 50/s   ? keys",
        help=("p, space  pause", "s         stop"),
    )
    return replace(made, **changes)


WORST = a_scene(
    steps=40,
    workers=60,
    state=State("PAUSED " + "w" * 90, well=False),
    limits="limit " * 40,
    notices=[(1e7, "e" * 200 + "\x1b[2J\n")],
    standings=[Standing("t" * 90, None, "", None)] * 30,
    help=("h" * 200,) * 4,
)
NOTHING = Scene(a_progress(step="", number=0, event="", run_counts=ItemCounts(), p50_ms=None, eta_s=None))


def shown(scene: Scene, width: int = 80, height: int = 23, encoding: str = "utf-8") -> list[str]:
    return [line.plain for line in draw(scene, width, height, encoding)]


@pytest.mark.parametrize("width", [40, 80, 139, 140, 200])
@pytest.mark.parametrize("height", [1, 5, 9, 23, 60])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_screen_is_too_small(width, height, encoding):
    for scene in (a_scene(), WORST, NOTHING, replace(NOTHING, keys="p")):
        lines = shown(scene, width, height, encoding)
        assert 1 <= len(lines) <= height
        assert max(map(cell_len, lines)) <= width
        "".join(lines).encode(encoding)
        assert lines[0][:3] == scene.state.word[:3], "how it is comes first"
        assert height == 1 or not scene.keys or lines[-1][:1] == scene.keys[:1], "and the keys last"


def test_a_usual_screen_of_24_lines_says_it_all():
    assert shown(a_scene(help=(), workers=2), encoding="ascii") == [
        "RUNNING  step_1 (step 2 of 3): 4711 of 10000                  1 min 23 s elapsed",
        "#" * 32 + "." * 42 + "  43 %",
        "4812 of 11100 items, 11 failed, 1 unknown",
        "312/s now, 298/s mean, p50 12.3 ms, p95 45.6 ms, 64 in flight, 3 workers",
        "kept to rate 50/s",
        "",
        "Steps     items  settled  failed  unknown  dropped  pending",
        ". step_0    100       60       0        0        0       40",
        "> step_1    100       61       1        0        0       39",
        ". step_2    100       62       2        0        0       38",
        "",
        "Thresholds     now  holds",
        "p95<5ms     7.25ms     NO",
        "failed<1%     0.5%    yes",
        "",
        "Workers        slots  in flight  items  share  calls   cpu",
        "loader-0:4000      8          5      1   50 %      1  50 %",
        "loader-1:4001      8          5      1   50 %      1  50 %",
        "",
        "    12 s  worker lost",
        "     3 s  rate from none to 50/s, by hand",
        "",
        "p pause   s stop   + - rate 50/s   ? keys",
    ]


def test_long_lists_are_folded_and_say_so():
    scene = a_scene(steps=30, workers=20)
    scene = replace(scene, progress=replace(scene.progress, step="step_17"))
    lines = shown(scene)
    assert [line[:9] for line in lines if "step_17" in line] == ["RUNNING  ", "▶ step_17"], "not folded away"
    assert any(re.fullmatch(r"  and \d+ more steps", line) for line in lines)
    assert any(re.fullmatch(r"  and \d+ more workers", line) for line in lines)
    assert lines[-1].startswith("p pause"), "the keys are always there"
    roomy = shown(a_scene(steps=30, workers=20), height=100)
    assert not any("more" in line for line in roomy)


def test_what_is_bad_is_said_first_in_words_and_in_orange():
    lost = [a_worker(), replace(a_worker(here=False, lost=True), name="gone"), a_worker(here=False)]
    assert not any(line.startswith("Workers") for line in shown(a_scene(workers=0)))
    lines = draw(replace(a_scene(), workers=lost), 80, 40, "utf-8")
    back = replace(a_scene(), workers=[a_worker(lost=True)])
    assert any(line.split()[:2] == ["w", "back"] for line in shown(back))
    rows = [line for line in lines if line.plain.startswith(("gone", "w "))]
    assert rows[0].plain.split()[:2] == ["gone", "LOST"]
    assert (rows[0].style, rows[1].style, len(rows)) == (BAD, "", 2), "those that left are not shown"
    assert next(line.plain.split() for line in lines if "p95<5ms" in line.plain)[-2:] == ["7.25ms", "NO"]
    told = next(line for line in lines if "11 failed" in line.plain)
    assert [told.plain[span.start : span.end] for span in told.spans] == ["11 failed", "1 unknown"]


def test_a_wide_screen_has_two_columns():
    wide, narrow = shown(a_scene(), 200, 50), shown(a_scene(), 80, 50)
    assert any("step_1" in line and "loader-" in line for line in wide)
    assert len(wide) < len(narrow)
    curve = next(line for line in wide if line.startswith("items/s"))
    assert len(curve.split("│")[1].rstrip()) > 60, "and longer curves"


def test_the_bar_is_full_only_at_the_end():
    almost = a_scene(progress=a_progress(run_counts=ItemCounts(planned=100_000, done=99_999)))
    assert shown(almost, encoding="ascii")[1].endswith(".  99 %")
    done = a_scene(progress=a_progress(run_counts=ItemCounts(planned=3, done=3)))
    assert shown(done, encoding="ascii")[1] == "#" * 74 + " 100 %"
    assert "left" not in shown(done)[0]


def test_nobody_knows_how_long_a_pause_takes():
    assert shown(a_scene(), 100)[0].endswith("1 min 23 s elapsed, about 21 s left")
    paused = shown(a_scene(state=State("PAUSED by hand", well=False)), 100)[0]
    assert paused.startswith("PAUSED by hand  step_1")
    assert paused.endswith("1 min 23 s elapsed")


def test_a_task_of_the_master_stands_where_the_step_would():
    scene = a_scene(state=State("SETTING UP", why="12 calls"))
    assert shown(scene)[0].startswith("SETTING UP  12 calls")


# Painting


def a_terminal(**changes: object) -> tuple[io.StringIO, Console]:
    file = io.StringIO()
    options = {
        "width": 80,
        "height": 24,
        "force_terminal": True,
        "color_system": None,
        "_environ": {"TERM": "x"},
    }
    return file, Console(file=file, **{**options, **changes})


def news(file: io.StringIO) -> str:
    """What was written since this was asked last."""
    text = file.getvalue()
    file.seek(0)
    file.truncate()
    return text


def test_only_what_changed_is_written_and_nothing_is_erased_first():
    file, console = a_terminal()
    painter = Painter(console)
    painter.start()
    painter.paint([Text("one"), Text("two"), Text("three")])
    assert news(file) == "\x1b[?25l\r\x1b[Jone\x1b[K\ntwo\x1b[K\nthree\x1b[K".replace("\x1b[J", "")
    painter.paint([Text("one"), Text("2"), Text("three")])
    assert news(file) == "\x1b[2A\r\n2\x1b[K\n"
    painter.paint([Text("one"), Text("2"), Text("three")])
    assert news(file) == "", "calm"
    painter.paint([Text("one"), Text("2", BAD)])
    assert news(file) == "\x1b[2A\r\n2\x1b[K\n\x1b[J\x1b[A", (
        "another colour is news, and what is left over goes"
    )
    console.print("a word")
    assert news(file) == "\x1b[1A\r\x1b[Ja word\none\x1b[K\n2\x1b[K", "above"
    painter.stop()
    assert news(file) == "\x1b[1A\r\r\x1b[J\x1b[?25h"
    console.print("after")
    assert news(file) == "after\n"


def test_a_terminal_of_another_size_is_painted_anew():
    file, console = a_terminal()
    painter = Painter(console)
    painter.start()
    painter.paint([Text("x" * 80), Text("y")])
    news(file)
    console.size = (30, 24)
    painter.paint([Text("x" * 30), Text("y")])
    assert news(file).startswith("\x1b[3A\r\x1b[J"), "the first line takes three now"
    painter.stop()


def test_it_is_drawn_now_and_then_and_at_once_when_the_state_changes():
    file, console = a_terminal()
    with LiveProgress(console) as live:
        live.show(a_scene(progress=a_progress(elapsed_s=1.0)))
        assert "RUNNING" in news(file)
        live.show(a_scene(progress=a_progress(elapsed_s=1.1, rate_now=1.0)))
        assert news(file) == ""
        live.show(a_scene(progress=a_progress(elapsed_s=1.2), state=State("PAUSED by hand", well=False)))
        assert "PAUSED" in news(file)
        live.hide()
        assert news(file).endswith("\x1b[?25h")
        live.show(a_scene(progress=a_progress(elapsed_s=1.3)))
        assert "RUNNING" in news(file)
    assert news(file).endswith("\r\x1b[J\x1b[?25h"), "gone at the end"


def test_a_line_has_its_own_style():
    file, console = a_terminal(color_system="truecolor")
    painter = Painter(console)
    painter.start()
    painter.paint([Text("lost", BAD)])
    assert "\x1b[38;2;215;95;0mlost\x1b[0m" in file.getvalue()
    painter.stop()


def test_no_colour_is_no_code(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    painter = Painter(Console(file=file, force_terminal=True, color_system="256", width=80, height=24))
    painter.start()
    painter.paint(draw(a_scene(), 80, 23, "utf-8"))
    painter.stop()
    assert not re.search(r"\x1b\[[0-9;]*38;5", file.getvalue())
