"""What a terminal shows of a run that goes on: one screen of lines that fit, whatever there is.  Pure.

How it stands is always there: the state in a word, a bar, items, rates and times.  Below, as far as there
is room: the last minutes as curves, steps, thresholds, workers, what happened last; a list that is too
long for the room is folded, and says how many more there are.  A wide terminal has two columns of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

from loadgen.record import ItemCounts
from loadgen.reports.grid import Column, cut, grid
from loadgen.reports.palette import BAD, FAINT, GOOD, STRONG
from loadgen.reports.pulse import Progress, Second
from loadgen.reports.watch import Standing
from loadgen.reports.words import Glyphs, clean, count, duration, glyphs, percent, three
from loadgen.view import WorkerView

WIDE = 140
"""From here on there are two columns."""
_GAP = 4
"""Between them."""
_LABEL, _SCALE = 9, 6
"""Width of the words before curves, and of what their tops stand for."""
_LONG = 4
"""Lists of more are folded before anything else is."""
_ORDER = ("curve", "step", "threshold", "worker", "event")
"""From the top."""
_TROUBLES = ("failed", "unknown", "dropped", "cancelled")
_ALARMING = rf"\d+ ({'|'.join(_TROUBLES)})"


@dataclass(frozen=True, slots=True)
class State:
    """How it is, in a word, and what there is to say about that."""

    word: str = "RUNNING"
    well: bool = True
    """False: it is not as it should be in the long run."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is shown, at one moment."""

    progress: Progress
    state: State = State()
    limits: str = ""
    """What the run is kept to; empty: to nothing."""
    workers: Sequence[WorkerView] = ()
    standings: Sequence[Standing] = ()
    """How thresholds stand."""
    seconds: Sequence[Second] = ()
    """The last ones, the newest last; none is left out."""
    notices: Sequence[tuple[float, str]] = ()
    """What happened, and how long after the start, in seconds; the newest first."""
    keys: str = ""
    """Which keys there are; empty: none."""
    help: Sequence[str] = ()
    """What they do, where that was asked for."""


def draw(scene: Scene, width: int, height: int, encoding: str) -> list[Text]:
    """The lines, none wider than `width`, not more than `height` and at least one."""
    marks = glyphs(encoding)
    top = _top(scene, width, marks, encoding)
    told = [line for line in (*scene.help, scene.keys) if line]
    bottom = [Text(cut(line, width, marks.ellipsis), FAINT) for line in ("", *told)] if told else []
    bottom = bottom[-max(height - 1, 1) :]
    room = height - len(top) - len(bottom)
    half = (width - _GAP) // 2 if width >= WIDE else width
    lists = _lists(scene, half, marks, encoding)
    if half < width:
        left, right = (_stack([each for each in lists if each.left is side], room) for side in (True, False))
        middle = _beside(_lines(left, half, marks), _lines(right, half, marks), half)
    else:
        middle = _lines(_stack(lists, room), width, marks)
    return [*top[: max(height - len(bottom), 1)], *middle, *bottom][:height]


# How it stands


def _top(scene: Scene, width: int, marks: Glyphs, encoding: str) -> list[Text]:
    progress, state = scene.progress, scene.state
    part, whole = _share(progress)
    colour = GOOD if state.well else BAD
    why = state.why or _head(progress)
    told = f"{state.word}  {why}"
    clock = next((each for each in _clocks(progress, state) if _fits(told, each, width)), "")
    head = Text(cut(_sides(told, clock, width), width, marks.ellipsis), STRONG)
    head.stylize(colour, 0, len(state.word))
    bar = _bar(part, whole, width - len(" 100 %"), marks)
    bar.stylize(GOOD, 0, bar.plain.count(marks.done))
    bar.append(f"{percent(part, whole):>6}")
    pace, flow = f"{rates(progress)}{times(progress)}", _in_flight(progress)
    of = f"{progress.run_counts.settled} of " if progress.timed is None else ""
    lines = [
        f"{of}{_items(progress)}{troubles(progress.run_counts)}",
        *([f"{pace}, {flow}"] if _fits(pace, flow, width) else [pace, flow]),
        *([f"kept to {scene.limits}"] if scene.limits else []),
    ]
    words = [Text(cut(clean(line, encoding), width, marks.ellipsis)) for line in lines]
    words[0].highlight_regex(_ALARMING, BAD)
    return [head, bar, *words]


def _in_flight(progress: Progress) -> str:
    return f"{progress.in_flight} in flight, {count(progress.workers, 'worker')}"


def _head(progress: Progress) -> str:
    head = where(progress)
    if progress.steps > 1 and progress.step and progress.timed is None:
        head = f"{head}: {progress.step_counts.settled} of {progress.step_counts.planned}"
    return head


def _clocks(progress: Progress, state: State) -> list[str]:
    """How long it has taken and will take; the best first, the shortest last."""
    elapsed, left = duration(round(progress.elapsed_s)), remaining(progress)
    whole = [f"{elapsed} elapsed, about {left}"] if left and state.well else []
    return [*whole, f"{elapsed} elapsed", elapsed]


def _share(progress: Progress) -> tuple[float, float]:
    run = progress.run_counts
    return (run.settled, run.planned) if progress.timed is None else (progress.timed, 1)


def _items(progress: Progress) -> str:
    run = progress.run_counts
    return count(run.planned if progress.timed is None else run.settled, "item")


def _bar(part: float, whole: float, width: int, marks: Glyphs) -> Text:
    """Full only when all is settled."""
    full = int(part * width // whole) if whole else 0
    return Text(marks.done * full + marks.todo * (width - full))


def _fits(left: str, right: str, width: int) -> bool:
    return cell_len(left) + 2 + cell_len(right) <= width


def _sides(left: str, right: str, width: int) -> str:
    """Both in one line, as far apart as there is room."""
    return f"{left}{' ' * (width - cell_len(left) - cell_len(right))}{right}"


# Words for the state of a run; those of a log are the same


def where(progress: Progress) -> str:
    """At which step it is."""
    if not progress.step:
        return "getting ready"
    if len(progress.step.split(" + ")) == progress.steps:  # all at a time, or there is but one
        return progress.step
    return f"{progress.step} (step {progress.number} of {progress.steps})"


def remaining(progress: Progress) -> str:
    """How long it will take; empty where nobody knows."""
    if progress.eta_s is None or not (progress.run_counts.pending or progress.timed is not None):
        return ""
    return f"{duration(round(progress.eta_s))} left"


def troubles(run: ItemCounts) -> str:
    """What did not go well; nothing when all did."""
    return "".join(f", {getattr(run, kind)} {kind}" for kind in _TROUBLES if getattr(run, kind))


def rates(progress: Progress) -> str:
    """Items a second."""
    return f"{three(progress.rate_now)}/s now, {three(progress.rate_mean)}/s mean"


def times(progress: Progress) -> str:
    """How long calls take; nothing where there were none."""
    if progress.p50_ms is None:
        return ""
    return f", p50 {three(progress.p50_ms)} ms, p95 {three(progress.p95_ms)} ms"


# Lists, folded to the room there is


@dataclass(frozen=True, slots=True)
class _List:
    """A heading and rows, of which some may be left out."""

    columns: tuple[Column, ...]
    shown: int
    """How many rows there is room for."""
    noun: str
    """What the rows are; curves have no heading, and are shown together or not at all."""
    alarming: frozenset[int] = frozenset()
    """Rows that are not as they should be."""
    left: bool = True
    """On a wide screen: in the left column."""

    @property
    def rows(self) -> int:
        return len(self.columns[0].cells)

    @property
    def headed(self) -> bool:
        return self.noun not in ("curve", "event")

    @property
    def height(self) -> int:
        """With the empty line before it, its heading, and what says how many more there are."""
        return 1 + self.headed + self.shown + (self.headed and self.shown < self.rows)


def _lists(scene: Scene, width: int, marks: Glyphs, encoding: str) -> list[_List]:
    """From the one that is given up last to the one that is given up first."""
    made = (
        _notices(scene.notices, encoding),
        _steps(scene.progress, marks, encoding),
        _workers(scene.workers, encoding),
        _thresholds(scene.standings, encoding),
        _curves(scene.seconds, width, marks),
    )
    return [each for each in made if each is not None]


def _stack(lists: Sequence[_List], room: int) -> list[_List]:
    """What fits: long lists are folded, then the curves go, then all lists are, then the last one goes."""
    kept = _folded(lists, room, _LONG)
    if sum(each.height for each in kept) > room:
        kept = _folded([each for each in lists if each.noun != "curve"], room, 1)
    while kept and sum(each.height for each in kept) > room:
        kept.pop()
    return sorted(kept, key=lambda each: _ORDER.index(each.noun))


def _folded(lists: Sequence[_List], room: int, least: int) -> list[_List]:
    """The same with fewer rows, as far as it must be, and not fewer than `least` of them."""
    kept = list(lists)
    while kept and sum(each.height for each in kept) > room:
        longest = max(kept, key=lambda each: each.shown if each.noun != "curve" else 0)
        if longest.noun == "curve" or longest.shown <= least:
            break
        kept[kept.index(longest)] = replace(longest, shown=longest.shown - 1)
    return kept


def _lines(lists: Sequence[_List], width: int, marks: Glyphs) -> list[Text]:
    lines: list[Text] = []
    for each in lists:
        header, *rows = grid(list(each.columns), width, marks.ellipsis)
        told = [Text(row, BAD if number in each.alarming else "") for number, row in enumerate(rows)]
        lines += [Text(), *([Text(header, STRONG)] if each.headed else []), *told[: each.shown]]
        hidden = each.rows - each.shown
        if hidden and each.headed:
            more = f"  and {count(hidden, f'more {each.noun}')}"
            lines.append(Text(cut(more, width, marks.ellipsis), FAINT))
    return lines


def _beside(left: Sequence[Text], right: Sequence[Text], half: int) -> list[Text]:
    lines = []
    for one, other in zip_longest(left, right, fillvalue=Text()):
        if not other.plain:
            lines.append(one)
            continue
        padded = one.copy()
        padded.append(" " * (half + _GAP - cell_len(one.plain)))
        lines.append(padded.append_text(other))
    return lines


def _steps(progress: Progress, marks: Glyphs, encoding: str) -> _List | None:
    steps = progress.by_step
    if len(steps) < 2:  # noqa: PLR2004 - the head has it all
        return None
    over, now, to_come = tuple(marks.steps)
    open_ = progress.step.split(" + ")
    first = next((n for n, (name, _) in enumerate(steps) if name in open_), 0) if len(steps) > _LONG else 0
    steps = (*steps[first:], *steps[:first])  # where it is folded, the open one is to be seen

    def mark(name: str, counts: ItemCounts) -> str:
        if name in open_:
            return now
        return over if counts.planned and not counts.pending else to_come

    counts = [each for _, each in steps]
    names = tuple(f"{mark(name, each)} {clean(name, encoding)}" for name, each in steps)
    columns = [
        Column("Steps", names, left=True),
        Column("items", tuple(str(each.planned) for each in counts)),
        Column("settled", tuple(str(each.settled) for each in counts)),
        Column("failed", tuple(str(each.failed) for each in counts), spare=1),
        *(
            Column(kind, tuple(str(getattr(each, kind)) for each in counts), spare=place)
            for place, kind in enumerate(("unknown", "dropped", "pending"), start=2)
        ),
    ]
    bad = frozenset(place for place, each in enumerate(counts) if each.failed or each.unknown or each.dropped)
    return _List(tuple(columns), len(steps), "step", bad)


def _workers(workers: Sequence[WorkerView], encoding: str) -> _List | None:
    """Those that are lost first, those that left not at all."""
    told = sorted((each for each in workers if each.here or each.lost), key=lambda each: each.here)
    if not told:
        return None
    items = sum(each.items for each in workers)
    columns = [
        Column("Workers", tuple(clean(each.name, encoding) for each in told), left=True),
        Column("", tuple(_whereabouts(each) for each in told)),
        Column("slots", tuple(str(each.slots) for each in told), spare=2),
        Column("in flight", tuple(str(each.in_flight) for each in told)),
        Column("items", tuple(str(each.items) for each in told)),
        Column("share", tuple(percent(each.items, items) for each in told), spare=3),
        Column("calls", tuple(str(each.calls) for each in told), spare=4),
        Column("cpu", tuple(f"{100 * each.cpu:.0f} %" for each in told), spare=1),
    ]
    if not any(each.lost for each in told):
        del columns[1]
    bad = frozenset(place for place, each in enumerate(told) if not each.here)
    return _List(tuple(columns), len(told), "worker", bad, left=False)


def _whereabouts(worker: WorkerView) -> str:
    if worker.lost:
        return "back" if worker.here else "LOST"
    return ""


def _thresholds(standings: Sequence[Standing], encoding: str) -> _List | None:
    """Those that do not hold first."""
    if not standings:
        return None
    told = sorted(standings, key=lambda each: each.holds is not False)
    columns = (
        Column("Thresholds", tuple(clean(each.text, encoding) for each in told), left=True),
        Column("now", tuple("-" if each.value is None else f"{each.value:.3g}{each.unit}" for each in told)),
        Column("holds", tuple({None: "-", True: "yes", False: "NO"}[each.holds] for each in told)),
    )
    bad = frozenset(place for place, each in enumerate(told) if each.holds is False)
    return _List(columns, len(told), "threshold", bad, left=False)


def _notices(notices: Sequence[tuple[float, str]], encoding: str) -> _List | None:
    if not notices:
        return None
    lines = tuple(f"{duration(round(at_s)):>8}  {clean(text, encoding)}" for at_s, text in notices)
    return _List((Column("Events", lines, left=True),), len(lines), "event")


def _curves(seconds: Sequence[Second], width: int, marks: Glyphs) -> _List | None:
    """Items a second and the p95, a second each column, on scales of their own."""
    room = width - _LABEL - _SCALE - 2
    seconds = seconds[-room:]
    items = [float(second.items) for second in seconds]
    p95 = [second.p95_ms for second in seconds]
    if room < 2 or not any(items):  # noqa: PLR2004 - one point is no curve
        return None
    lines = (_curve("items/s", items, marks), _curve("p95 ms", p95, marks))
    return _List((Column("", lines, left=True),), len(lines), "curve")


def _curve(name: str, values: Sequence[float | None], marks: Glyphs) -> str:
    top = max((value for value in values if value is not None), default=0.0)
    full = len(marks.levels) - 1
    bars = "".join(
        marks.levels[0 if not value or not top else max(1, round(value / top * full))] for value in values
    )
    return f"{name:<{_LABEL}}{three(top):>{_SCALE}} {marks.axis}{bars}"
