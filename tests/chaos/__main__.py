"""The long version: `python -m tests.chaos --minutes 30`."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from .rounds import Play, Played, Round
from .target import Manners

KINDS = {
    "at_most_once": Play("at_most_once", manners=Manners(drop=0.01, late=0.002)),
    "at_least_once": Play("at_least_once", manners=Manners(drop=0.01), retries=True),
    "verify": Play("verify", manners=Manners(drop=0.01, late=0.002)),
    "keyed": Play("at_most_once", keys=60),
    "keyed again": Play("at_least_once", keys=60),
    "keyed verify": Play("verify", keys=60),
    "slow verify": Play(
        "verify", concurrency=40, timeout_s=2.5, most_actions=8, manners=Manners(latency_s=1.2), slowness=4
    ),
    "master only": Play(
        "at_most_once", actions=("kill master",), ttl_s=5.0, pause_s=(1.5, 4.0), most_actions=4
    ),
}
COLUMNS = (
    *("kind", "items", "done", "failed", "unknown", "armed", "widest", "again", "lost", "twice", "resent"),
    *("resumes", "actions", "s"),
)


def main() -> int:
    """Play rounds until the time is over; the exit code is 1 when one found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=10_000, help="at most so many")
    parser.add_argument("--policy", choices=KINDS, action="append", help="may be repeated; default: all")
    parser.add_argument("--items", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", type=Path, help="keep the directories of rounds that found something here")
    parser.add_argument("--json", type=Path, help="write the sums of each kind there")
    order = parser.parse_args()
    end_s = time.monotonic() + order.minutes * 60
    _say("  ".join(f"{column:>7}" for column in COLUMNS))
    bad = 0
    totals: dict[str, list[Played]] = {}
    for number, kind in zip(range(order.rounds), cycle(order.policy or KINDS), strict=False):
        if time.monotonic() > end_s:
            break
        play = replace(KINDS[kind], items=order.items // KINDS[kind].slowness, seed=order.seed + number)
        with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
            played = Round(play, Path(folder) / "round").play()
            if played.findings.violations and order.keep is not None:
                shutil.copytree(
                    Path(folder) / "round", order.keep / f"{kind}-{play.seed}", dirs_exist_ok=True
                )
        totals.setdefault(kind, []).append(played)
        bad += bool(played.findings.violations)
        _say(_row(kind, [played]))
        for violation in played.findings.violations:
            _say(f"    seed {play.seed}: {violation[:600]}")
    _say("\n" + "  ".join(f"{column:>7}" for column in ["rounds", *COLUMNS]))
    for kind, all_ in totals.items():
        _say(f"{len(all_):>7}  {_row(kind, all_)}")
    if order.json is not None:
        sums = {kind: dict(zip(COLUMNS[1:], _figures(all_), strict=True)) for kind, all_ in totals.items()}
        order.json.write_text(json.dumps(sums, indent=2) + "\n")
    return 1 if bad else 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a table for people


def _row(kind: str, rounds: list[Played]) -> str:
    return "  ".join([f"{kind:>7}", *(f"{figure:>7}" for figure in _figures(rounds))])


def _figures(rounds: list[Played]) -> list[int]:
    found = [played.findings for played in rounds]
    return [
        *(sum(getattr(each, name) for each in found) for name in ("items", "done", "failed", "unknown")),
        sum(played.armed for played in rounds),
        max(played.widest for played in rounds),
        *(sum(getattr(each, name) for each in found) for name in ("again", "lost", "twice", "resent")),
        sum(played.resumes for played in rounds),
        sum(sum(played.actions.values()) for played in rounds),
        round(sum(played.took_s for played in rounds)),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
