"""Makes the pictures of terminals in docs/cli.md: `python tests/e2e/refresh_terminals.py`.

A real run in a real terminal of 80 columns, and in one of 200: tmux is the terminal, and says what is on
it.  A second worker joins, and is killed; the picture is taken when that is known, and another one of the
end report.  Names of this machine are replaced by neutral ones of the same length.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from harness import AZKABAN, REPO, Cli, until
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURES = REPO / "docs" / "pictures"
RUN = (
    *("--set", "flows=7000", "--set", "projects=200", "--set", "schedules=2000", "--concurrency", "6"),
    *("--target", "sandbox:azkaban?latency=8", "--max-in-flight", "20", "--lease-ttl", "5"),
    *("--threshold", "flows.p95<250ms over 10s", "--threshold", "failed<1% abort"),
    *("--listen", "127.0.0.1:0", "--no-dashboard"),
)
SECONDS = 15
"""How long it goes on until the second worker is killed, and a bit longer until the picture."""
THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [(0, 0, 0), *[(201, 209, 217)] * 7],
)
NEUTRAL = ("pc", "box", "host", "bench", "loader", "machine")


class Tmux:
    """A terminal of so many columns and 24 lines in which one command runs."""

    def __init__(self, cli: Cli, width: int, *command: object) -> None:
        self._socket = str(cli.home / f"tmux-{width}")
        line = shlex.join(map(str, [sys.executable, "-m", "loadgen", *command]))
        kept = {name: value for name, value in cli.env.items() if name not in ("NO_COLOR", "COLUMNS")}
        self._env = {**kept, "COLORTERM": "truecolor", "PYTHONPATH": str(REPO)}
        size = ("-x", str(width), "-y", "24")
        self._do("new-session", "-d", *size, "-c", str(cli.home), f"{line}; exec sleep 600")

    def screen(self, *flags: str) -> str:
        """What is on it; `-e`: with colours."""
        return self._do("capture-pane", "-p", *flags)

    def close(self) -> None:
        """End it, and all that runs in it."""
        self._do("kill-server")

    def _do(self, *words: str) -> str:
        command = ["tmux", "-S", self._socket, "-f", "/dev/null", *words]
        return subprocess.run(command, env=self._env, check=True, capture_output=True, text=True).stdout


def save(screen: str, name: str, width: int) -> None:
    """The screen as a picture in the docs, which loads no fonts from anywhere."""
    host = socket.gethostname()
    neutral = next((word for word in NEUTRAL if len(word) == len(host)), "x" * len(host))
    text = Text.from_ansi(re.sub(rf"{re.escape(host)}-(?=\d)", f"{neutral}-", screen.rstrip("\n")))
    console = Console(
        record=True, width=width, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(text, no_wrap=True, crop=True)
    svg = console.export_svg(title="loadgen", theme=THEME, unique_id="terminal")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "DejaVu Sans Mono")
    (PICTURES / name).write_text(svg, encoding="utf-8")


def take(width: int) -> None:
    """Both pictures of one width."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        cli = Cli(Path(folder))
        cli.env["PYTHONPATH"] = str(REPO)
        terminal = Tmux(cli, width, "run", AZKABAN, *RUN)
        try:
            until(lambda: "items/s" in terminal.screen(), "it is under way")
            worker = cli.start(
                *("worker", "--server", f"127.0.0.1:{cli.port()}"), *("--processes", 1, "--concurrency", 8)
            )
            until(
                lambda: re.search(rf"{worker.pid}.* 8 +[1-9]", terminal.screen()), "the other one is at work"
            )
            until(lambda: f" {SECONDS} s elapsed" in terminal.screen(), "some time passes", SECONDS + 30)
            os.killpg(worker.pid, signal.SIGKILL)
            until(lambda: "LOST" in terminal.screen(), "it is lost")
            until(lambda: f" {SECONDS + 10} s elapsed" in terminal.screen(), "and it goes on")
            save(terminal.screen("-e"), f"terminal-{width}.svg", width)
            until(lambda: "--verbose" in terminal.screen(), "it ends", 300)
            save(terminal.screen("-e"), f"terminal-report-{width}.svg", width)
        finally:
            terminal.close()
            cli.close()


def main() -> None:
    """Two widths, two pictures each."""
    if shutil.which("tmux") is None:
        sys.exit("refresh_terminals: there is no tmux here")
    for width in (80, 200):
        take(width)


if __name__ == "__main__":
    main()
