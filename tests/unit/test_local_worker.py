"""The local worker, as its master sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loadgen.errors import WorkersGone
from loadgen.launch.local import LocalPlan, LocalWorker

LOG = """loadgen: box-1 joins run r1
loadgen: --max-clock-error: expected a duration like 500ms, 30s, 2m, 1m30s or 1h
  1x
    ^
"""


def test_a_mistake_that_is_pointed_at_is_told_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_worker: LocalWorker) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-S", "-c", "raise SystemExit(2)"])

    monkeypatch.setattr(LocalWorker, "_start", start)
    log = tmp_path / "worker.log"
    log.write_text(LOG)
    worker = LocalWorker(LocalPlan("127.0.0.1:1", 1, None, log, 1.0), "token", {}, print)
    assert worker.wait(30)
    with pytest.raises(WorkersGone, match=r"cannot run: --max-clock-error: expected a duration .* or 1h$"):
        worker.tend(0)
